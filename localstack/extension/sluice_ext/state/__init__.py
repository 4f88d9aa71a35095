"""Saves the engine's whole state in a folder, and restores it in a fresh engine."""
