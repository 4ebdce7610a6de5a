"""Validated data that every room shares: enums, parameters with defaults, API bodies. pydantic only; never torch."""
