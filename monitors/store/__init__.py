"""The Postgres store: every statement on the monitoring schema, and its migrations."""
