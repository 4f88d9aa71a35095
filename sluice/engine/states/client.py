"""The engine's routes under /_sluice/state (docs/state.md): hold, save, release, info."""

from __future__ import annotations

import json
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from sluice.console import SluiceError
from sluice.engine.instance import HOST, EngineInfo

DRAIN_SECONDS = 10.0
HOLD_SECONDS = 120
"""After this time the engine goes on by itself: a command that was killed must not leave it paused."""
SAVE_SECONDS = 600.0
ANSWER_SECONDS = 10.0


class StateError(SluiceError):
    """The engine refused, or did not answer (status 0)."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def hold(info: EngineInfo, objects: str, seconds: float = HOLD_SECONDS) -> dict[str, Any]:
    """Calls wait from now on, and those that run have ended. What S3 holds is stored in `objects` before. After
    `seconds` the engine goes on by itself."""
    body = {"drain_seconds": DRAIN_SECONDS, "seconds": seconds, "objects": objects}
    return _call(info, "hold", body)


def save(info: EngineInfo, folder: str, attach: dict[str, str]) -> dict[str, Any]:
    """Saves the state of a held engine. Paths are those of the engine's machine."""
    return _call(info, "save", {"folder": folder, "attach": attach})


def release(info: EngineInfo) -> bool:
    """Calls go on. False when the engine was not held."""
    return bool(_call(info, "release", {}, ANSWER_SECONDS)["released"])


def is_held(info: EngineInfo) -> bool:
    """Whether calls wait."""
    return bool(_call(info, "info", None, ANSWER_SECONDS)["paused"])


def check(info: EngineInfo, folder: str) -> dict[str, Any]:
    """What the engine says about a saved state: raises StateError when it would refuse it."""
    return _call(info, f"info?{urlencode({'folder': folder})}", None)


def _call(info: EngineInfo, route: str, body: dict[str, Any] | None, seconds: float = SAVE_SECONDS) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"http://{HOST}:{info.port}/_sluice/state/{route}", data=data)
    try:
        # Never through a proxy: this is a server on the loopback address.
        with build_opener(ProxyHandler({})).open(request, timeout=seconds) as response:
            return dict(json.loads(response.read()))
    except HTTPError as error:
        raise StateError(_reason(error), error.code) from error
    except (OSError, HTTPException, ValueError) as error:
        raise StateError(f"the engine does not answer: {error}", 0) from error


def _reason(error: HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"the engine answered {error.code}"


def path(folder: Path) -> str:
    """A path as the engine gets it."""
    return str(folder.resolve())
