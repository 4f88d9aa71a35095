"""Fault control and the call record: which function made which call, and which of the calls fail. For tests only."""
