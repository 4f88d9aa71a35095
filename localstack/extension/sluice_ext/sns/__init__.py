"""SNS: LocalStack's own provider, which counts what it delivers and what it does not."""


def install() -> None:
    """Count what subscriptions get."""
    from sluice_ext.sns import deliveries

    deliveries.install()
