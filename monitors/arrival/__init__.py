"""Left of the store: what arrives, and how it gets into raw."""
