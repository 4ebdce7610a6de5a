"""The dashboard: Streamlit pages over the API. Imports nothing of ours but the client, the schemas and the errors."""
