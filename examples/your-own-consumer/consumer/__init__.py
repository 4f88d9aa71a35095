"""A consumer of object.committed."""
