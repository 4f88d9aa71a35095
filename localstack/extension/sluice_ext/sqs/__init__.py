"""SQS: LocalStack's own provider, with AWS's metrics and AWS's redrive."""


def install() -> None:
    """Count messages for CloudWatch and replace the redrive."""
    from sluice_ext.sqs import metrics, pausing, redrive

    metrics.install()
    redrive.install()
    pausing.install()
