"""The record of what each role used and, when enabled, the enforcement of its policies.

| module | what it does |
|---|---|
| policy | decides whether policy documents allow an action on a resource (pure) |
| actions, s3_actions | which actions and resources a call needs (pure) |
| record | what each role used and was refused |
| roles | a role's policies as they are deployed |
| trust | whether a service may assume a role |
| principals | whether a resource's own policy is about a caller, and what it decides (pure) |
| resources | the policies that resources carry themselves, and their keys |
| deliveries | whether a service may deliver to another, by the target's policies |
| gateway | records and refuses calls on their way through the engine |
| behalf | the same for what Lambda does with a function's role without a call (polls its queue, writes its log) |
"""


def install() -> None:
    """Join the engine's request path: the deliveries of services always, roles if uses are recorded or enforced."""
    from sluice_ext import settings
    from sluice_ext.iam import deliveries

    deliveries.install()
    if settings.IAM_RECORDED:
        from sluice_ext.iam import gateway

        gateway.install()
