"""Routes under /_sluice: GET health; POST, GET, DELETE faults; GET calls and roles; the clock (see `clock`); state (see
`state`).
"""

import importlib.metadata
from typing import Any

from localstack.http import Request, Response
from localstack.services.edge import ROUTER

import sluice_ext
from localstack import config, constants
from sluice_ext import iam, settings
from sluice_ext.faults import calls, rules


def install() -> None:
    """Add the routes to the engine's edge."""
    ROUTER.add("/_sluice/health", _health, methods=["GET"])
    ROUTER.add("/_sluice/faults", _faults, methods=["GET", "POST", "DELETE"])
    ROUTER.add("/_sluice/calls", _calls, methods=["GET"])
    ROUTER.add("/_sluice/roles", _roles, methods=["GET"])
    ROUTER.add("/_sluice/clock", _clock, methods=["GET", "POST"])
    for name, method in (("hold", "POST"), ("save", "POST"), ("release", "POST"), ("load", "POST"), ("info", "GET")):
        ROUTER.add(f"/_sluice/state/{name}", _state, methods=[method])
    if settings.FAULTS:
        calls.install()
    iam.install()


def _health(_request: Request) -> Response:
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
        "iam": "enforced" if settings.IAM_ENFORCED else "recorded" if settings.IAM_RECORDED else "off",
    }
    return _json(body)


def _faults(request: Request) -> Response:
    if not settings.FAULTS:
        return _json({"error": "fault control is off; start the engine with SLUICE_FAULTS=1"}, 403)
    if request.method == "DELETE":
        return _json({"cleared": rules.clear()})
    if request.method == "GET":
        return _json({"faults": rules.listed()})
    try:
        fault = rules.Fault.parse(request.get_json(force=True, silent=True))
    except rules.InvalidFault as error:
        return _json({"error": str(error)}, 400)
    return _json(rules.add(fault).to_json(), 201)


def _calls(request: Request) -> Response:
    if not settings.FAULTS:
        return _json({"error": "the call record is off; start the engine with SLUICE_FAULTS=1"}, 403)
    value = request.args.get("since", "0")
    if not value.isdigit():
        return _json({"error": "since must be a number, as `next` of an earlier answer"}, 400)
    return _json(calls.since(int(value)))


def _roles(_request: Request) -> Response:
    from sluice_ext.iam.record import RECORD

    if not settings.IAM_RECORDED:
        return _json({"error": "the record of roles is off; start the engine with SLUICE_IAM=record or enforce"}, 403)
    return _json(RECORD.to_json())


def _clock(request: Request) -> Response:
    from sluice_ext.control import clock

    body, status = clock.answer(request.get_json(force=True, silent=True) if request.method == "POST" else None)
    return _json(body, status)


def _state(request: Request) -> Response:
    from sluice_ext.control import state

    return state.answer(state.ROUTES[request.path.rsplit("/", 1)[-1]], request)


def _json(body: Any, status: int = 200) -> Response:
    response = Response.for_json(body)
    response.status_code = status
    return response
