"""EventBridge: LocalStack's own provider, whose rules have the state and the schedule that they were given last."""


def install() -> None:
    """Make disabled rules deliver nothing, give each rule one schedule, and retry what does not arrive."""
    from sluice_ext.events import deliveries, rules

    rules.install()
    deliveries.install()
