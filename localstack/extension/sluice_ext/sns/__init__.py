"""SNS: LocalStack's own provider, with AWS's filter policies."""


def install() -> None:
    """Make subscriptions get what their filter policies say."""
    from sluice_ext.sns import filters

    filters.install()
