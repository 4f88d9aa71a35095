"""GET /_sluice/health."""

import importlib.metadata

from localstack import config, constants
from localstack.http import Request, Response
from localstack.services.edge import ROUTER

import sluice_ext
from sluice_ext import settings


def install() -> None:
    """Add the routes to the engine's edge."""
    ROUTER.add("/_sluice/health", _health, methods=["GET"])


def _health(request: Request) -> Response:
    from sluice_ext.executor import process

    body = {
        "status": "running",
        "versions": {
            "sluice_ext": sluice_ext.__version__,
            "localstack": constants.VERSION,
            "moto": importlib.metadata.version("moto-ext"),
        },
        "executor": config.LAMBDA_RUNTIME_EXECUTOR,
        "runtimes": settings.RUNTIMES_DIR,
        "environments": {"alive": process.alive(), "limit": settings.MAX_ENVIRONMENTS},
        "faults": settings.FAULTS,
    }
    return Response.for_json(body)
