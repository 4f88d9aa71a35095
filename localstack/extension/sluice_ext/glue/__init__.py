"""Glue: data catalog, crawlers, jobs. Any other operation is refused, and never answers success."""

import sys

from sluice_ext.glue import jobs


def shutdown() -> None:
    """End the processes of crawls and of jobs' runs."""
    # Not imported for this: an engine that never ran one has none.
    if crawl := sys.modules.get("sluice_ext.glue.crawlers.crawl"):
        crawl.shutdown()
    jobs.shutdown()
