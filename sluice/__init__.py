"""Sluice's host tool: engine, build, deployment and data verbs behind the `sluice` command."""

__version__ = "0.2.0"
