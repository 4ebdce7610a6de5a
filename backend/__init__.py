"""The server: store, API, reports and command line. Never imports torch."""
