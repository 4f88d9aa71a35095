"""EventBridge: LocalStack's own provider, whose rules have the state and the schedule that they were given last.

Their patterns are AWS's (`sluice_ext.patterns`).
"""


def install() -> None:
    """Disabled rules deliver nothing, each rule has one schedule, patterns match, what does not arrive is retried."""
    from sluice_ext.events import deliveries, patterns, rules

    rules.install()
    patterns.install()
    deliveries.install()
