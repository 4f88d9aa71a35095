"""EventBridge: LocalStack's own provider, whose rules have the state and the schedule that they were given last.

Their patterns are AWS's (`sluice_ext.patterns`).
"""


def install() -> None:
    """Make disabled rules deliver nothing, give each rule one schedule, match patterns, and retry what does not arrive."""
    from sluice_ext.events import deliveries, patterns, rules

    rules.install()
    patterns.install()
    deliveries.install()
