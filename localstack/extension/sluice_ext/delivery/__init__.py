"""Delivery of events to functions, without fixed waits: AWS's retries, batches, partial failures and concurrency."""


def install() -> None:
    """Replace LocalStack's asynchronous event queue and SQS pollers."""
    from sluice_ext.delivery import patches, pausing

    patches.install()
    pausing.install()
