"""Right of the store: what a person is told."""
