"""Lambda executor `process`: each execution environment is a process running AWS's own runtime client."""


def install() -> None:
    """Use our execution environment and its pool in LocalStack's Lambda service."""
    from sluice_ext.executor import patches

    patches.install()


def shutdown() -> None:
    """Kill every function process."""
    from sluice_ext.executor import process

    process.kill_all()
