"""Athena: queries run on DuckDB, over the tables of the Glue catalog and the files that they name in S3."""

import sys


def shutdown() -> None:
    """End the processes of queries."""
    # Not imported for this: an engine that never ran a query has none.
    if workers := sys.modules.get("sluice_ext.athena.workers"):
        workers.WORKERS.stop()
