"""One router a noun. Routes translate; what they do is in the services."""
