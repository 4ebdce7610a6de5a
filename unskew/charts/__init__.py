"""Figures: pure functions from API bodies to a `Chart` (figure, text alternative, table, caption); no Streamlit."""
