"""The warehouse: silver in PostgreSQL."""
