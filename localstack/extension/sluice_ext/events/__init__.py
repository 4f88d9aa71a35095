"""EventBridge: LocalStack's own provider, whose rules have the state and the schedule that they were given last."""


def install() -> None:
    """Make disabled rules deliver nothing, and give each rule one schedule."""
    from sluice_ext.events import rules

    rules.install()
