"""Glue jobs: definitions, runs and bookmarks. A run is a process of its own that executes the script from S3."""

import sys


def shutdown() -> None:
    """End the processes of runs."""
    # Not imported for this: an engine that never ran a job has none.
    if process := sys.modules.get("sluice_ext.glue.jobs.process"):
        process.kill_all()
