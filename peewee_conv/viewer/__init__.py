"""A read-only look at projects in the browser."""
