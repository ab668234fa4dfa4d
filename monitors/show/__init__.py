"""Right of the store: what people and machines look at."""
