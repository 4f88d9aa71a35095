"""The engine as containers."""
