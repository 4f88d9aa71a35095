"""Canonical entities: written by load from the rows that it has staged."""
