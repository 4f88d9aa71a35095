"""The quality gate's commands."""
