"""The feedback's commands."""
