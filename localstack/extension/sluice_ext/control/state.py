"""Routes under /_sluice/state, on which the host saves and restores the engine's state. See docs/state.md.

| route | body | answer |
|---|---|---|
| POST hold | `drain_seconds` (10), `seconds` (120), `force`, `objects` | calls wait, at most for `seconds` |
| POST save | `folder`, `objects`, `attach` {name: path}, `drain_seconds`, `force` | what was saved; holds by itself |
| POST release | | calls go on |
| POST load | `folder`, `objects` | only an engine that has done nothing yet |
| GET info | query: `folder`, `objects` | versions; with a folder the state in it, after a check |

Paths are those of the engine's machine. `objects` is where contents are stored that several states share; by default
the folder `objects` beside `folder`. Errors are {"error": text}: 400 for a request that is wrong, 404 when there is no
state, 409 when the state is refused or the engine is not fresh, 503 when calls do not end in time, 507 when the disk
is full.
"""

import gc
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localstack.http import Request, Response
from localstack.runtime.events import infra_ready

from sluice_ext import settings
from sluice_ext.gateway.shortcuts import routes_added_in_place
from sluice_ext.pausing import GATE, Busy
from sluice_ext.state import contents, files, loading, pickling, saving, versions

LOG = logging.getLogger(__name__)
REFUSED_STATUS = 3  # the engine's exit status when it cannot restore the state that it was given


def hold(request: Request) -> Any:
    """Pause the engine."""
    body = _body(request)
    drain, seconds = float(body.get("drain_seconds", saving.DRAIN_SECONDS)), float(body.get("seconds", 120))
    if objects := _objects(body):
        saving.store_early(objects)
    return saving.hold(drain, seconds, bool(body.get("force")))


def save(request: Request) -> Any:
    """Save the state."""
    body = _body(request)
    attached = {str(name): _path(path) for name, path in (body.get("attach") or {}).items()}
    drain = float(body.get("drain_seconds", saving.DRAIN_SECONDS))
    return saving.save(_path(body.get("folder")), _objects(body), attached, drain, bool(body.get("force")))


def release(_request: Request) -> Any:
    """End a pause."""
    return {"released": saving.release()}


def load(request: Request) -> Any:
    """Restore a state in a fresh engine."""
    body = _body(request)
    folder, objects = _path(body.get("folder")), _objects(body)
    GATE.pause(0, 5)
    try:
        if not loading.is_fresh():
            raise versions.Refused("this engine has been used; a state is loaded only by one that has just started")
        with GATE.exempt():
            return loading.load(folder, objects)
    finally:
        GATE.resume()


def info(request: Request) -> Any:
    """The engine's versions, and a saved state."""
    body: dict[str, Any] = {"versions": versions.here(), "paused": GATE.paused, "restored": RESTORED or None}
    if request.args.get("folder"):
        folder = _path(request.args["folder"])
        objects = files.Objects(_objects(dict(request.args)) or folder.parent / "objects")
        manifest = loading.checked(folder, objects)
        body["state"] = saving.head(manifest)
        body["attached"] = {name: str(objects.path(part["sha256"])) for name, part in manifest["attached"].items()}
    return body


ROUTES: dict[str, Callable[[Request], Any]] = {
    "hold": hold,
    "save": save,
    "release": release,
    "load": load,
    "info": info,
}
RESTORED: dict[str, Any] = {}


def answer(call: Callable[[Request], Any], request: Request) -> Response:
    """Call a route; errors become statuses."""
    try:
        return _json(call(request), 200)
    except (_Invalid, ValueError) as error:
        return _json({"error": str(error)}, 400)
    except FileNotFoundError as error:
        return _json({"error": f"{error.strerror}: {error.filename}"}, 404)
    except versions.Refused as error:
        return _json({"error": str(error)}, 409)
    except (Busy, contents.Locked, files.InUse) as error:
        return _json({"error": str(error)}, 503)
    except pickling.NotSavable as error:
        return _json({"error": f"the state cannot be saved: {error}"}, 500)
    except OSError as error:
        return _json({"error": f"the state was not saved: {error.strerror}: {error.filename}"}, 507)


def restore() -> None:
    """Restore the state that SLUICE_STATE names, if there is one; ends the process when it is refused."""
    if not settings.STATE_FOLDER:
        return
    folder = Path(settings.STATE_FOLDER)
    # Pollers and executions begin when the server answers: a function that is started earlier cannot call anything.
    GATE.pause(0, 0, force=True)
    threading.Thread(target=_begin, name="begin-after-restore", daemon=True).start()
    gc.disable()  # all that is loaded now stays, so that looking for garbage in it is a quarter of the time
    try:
        with GATE.exempt(), routes_added_in_place():
            RESTORED.update(loading.load(folder, Path(settings.STATE_OBJECTS) if settings.STATE_OBJECTS else None))
    except FileNotFoundError:
        return
    except Exception as error:
        if not isinstance(error, versions.Refused):
            LOG.exception("Cannot restore the state in %s", folder)
        print(f"sluice: cannot restore the saved state: {error}", file=sys.stderr, flush=True)
        os._exit(REFUSED_STATUS)
    finally:
        gc.freeze()
        gc.enable()


def _begin() -> None:
    infra_ready.wait()
    GATE.resume()


class _Invalid(ValueError):
    """The request is wrong."""


def _body(request: Request) -> dict[str, Any]:
    body = request.get_json(force=True, silent=True) if request.content_length else {}
    if not isinstance(body, dict):
        raise _Invalid("the body must be a JSON object")
    return body


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not Path(value).is_absolute():
        raise _Invalid(f"folder and attached files must be absolute paths, not {value!r}")
    return Path(value)


def _objects(body: dict[str, Any]) -> Path | None:
    return _path(body["objects"]) if body.get("objects") else None


def _json(body: Any, status: int) -> Response:
    response = Response.for_json(body)
    response.status_code = status
    return response
