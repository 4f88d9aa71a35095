"""Who may do what: the record of what each role used, and enforcement of its policies on request.

| module | what it does |
|---|---|
| policy | decides whether policy documents allow an action on a resource (pure) |
| actions, s3_actions | which actions and resources a call needs (pure) |
| record | what each role used and was refused |
| roles | who an access key belongs to, and a role's policies as they are deployed |
| gateway | records and refuses calls on their way through the engine |
| behalf | the same for what Lambda does in a function's name without a call (polls its queue, writes its log) |
"""


def install() -> None:
    """Join the engine's request path. Not called unless something is to be recorded or enforced."""
    from sluice_ext.iam import gateway

    gateway.install()
