"""The engine as processes."""
