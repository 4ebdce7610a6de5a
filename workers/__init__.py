"""Durable jobs: each step calls the library, saves an artifact, reports progress."""
