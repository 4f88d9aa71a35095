"""SQS: LocalStack's own provider, with AWS's metrics, redrive and rules."""


def install() -> None:
    """Count messages for CloudWatch, refuse what AWS refuses, and replace the redrive."""
    from sluice_ext.sqs import counting, metrics, pausing, redrive, rules, visibility

    visibility.install()  # before the metrics, which count what it receives
    counting.install()
    metrics.install()
    rules.install()
    redrive.install()
    pausing.install()
