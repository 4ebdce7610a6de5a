"""Pieces that several pages share: shell, strips, charts with their tables, messages, and the labelling grid."""
