"""SNS: LocalStack's own provider, with AWS's filter policies, which counts what it delivers and what it does not."""


def install() -> None:
    """Make subscriptions get what their filter policies say, and count it."""
    from sluice_ext.sns import deliveries, filters

    filters.install()
    deliveries.install()
