"""Step Functions: LocalStack's own provider, with AWS's metrics, stops, paths and checkpoints; it waits for Athena."""


def install() -> None:
    """Abort stopped executions at once, give lists for paths with wildcards, count executions, and let them survive."""
    from sluice_ext.stepfunctions import checkpoints, json_paths, metrics, queries, redrive, service_names, stopping

    # The metrics wrap what the other replaces, so this order matters.
    json_paths.install()
    stopping.install()
    metrics.install()
    checkpoints.install()
    queries.install()
    redrive.install()
    service_names.install()
