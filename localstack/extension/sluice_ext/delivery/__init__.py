"""Event delivery without fixed waits, with AWS's retry, batching, partial-failure and concurrency semantics."""

import sys


def install() -> None:
    """Replace LocalStack's asynchronous event queue and SQS pollers."""
    from sluice_ext.delivery import patches

    patches.install()


def shutdown() -> None:
    """Write what is still gathered."""
    if logs := sys.modules.get("sluice_ext.delivery.logs"):
        logs.WRITER.flush()
