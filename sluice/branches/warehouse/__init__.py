"""The warehouse, as the host reads it."""
