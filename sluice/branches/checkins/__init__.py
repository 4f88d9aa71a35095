"""The check-ins' commands."""
