"""Left of the store: what is claimed about the data, and whether it holds."""
