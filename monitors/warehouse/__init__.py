"""Connections, the embedded Postgres, dbt and its packages."""
