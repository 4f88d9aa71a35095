"""Saved states of an instance: the one that `sluice down` saves, and snapshots. docs/state.md describes the files."""
