"""Step Functions: LocalStack's own provider, with AWS's expressions, limits, metrics, stops, paths and checkpoints."""

import sys


def install() -> None:
    """Abort stopped executions at once, give lists for paths with wildcards, count executions, and let them survive."""
    from sluice_ext.stepfunctions import (
        callbacks,
        checkpoints,
        history,
        intrinsics,
        json_paths,
        jsonata,
        literals,
        maps,
        metrics,
        queries,
        redrive,
        requests,
        service_names,
        stopping,
        variables,
    )

    # The metrics wrap what the other replaces, so this order matters.
    json_paths.install()
    stopping.install()
    metrics.install()
    history.install()
    jsonata.install()
    variables.install()
    intrinsics.install()
    checkpoints.install()
    queries.install()
    redrive.install()
    service_names.install()
    maps.install()
    requests.install()
    callbacks.install()
    literals.install()


def shutdown() -> None:
    """End the processes of expressions."""
    # Not imported for this: an engine that never evaluated one has none.
    if evaluation := sys.modules.get("sluice_ext.stepfunctions.jsonata.evaluation"):
        evaluation.WORKERS.stop()
