"""Datasets: their fields, rules and sections."""
