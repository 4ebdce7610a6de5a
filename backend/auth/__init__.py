"""Who asks, and what they may do: passwords, identities, limits. No HTTP and no SQL."""
