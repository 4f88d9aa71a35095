"""Replays: requests, plans, and the new runs that they open."""
