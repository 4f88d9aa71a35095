"""Taxi trips: the verbs of the branch, and what they read."""
