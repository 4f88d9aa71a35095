"""Saves the state: pauses the engine, copies everything at that moment, goes on.

    hold()      new calls wait, running ones end
    save()      copies; holds and releases by itself when the engine is not held
    release()   the engine goes on

A host that needs something else at the same moment (PostgreSQL's data) calls hold, makes its copy, gives the files to
save and calls release. A hold ends by itself, so that an engine does not stay paused when its host was killed.
"""

import logging
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localstack.services.plugins import SERVICE_PLUGINS

from sluice_ext.pausing import GATE, Busy
from sluice_ext.state import containers, contents, files, own, pickling, versions

LOG = logging.getLogger(__name__)
DRAIN_SECONDS = 10.0
_END_SECONDS = 5.0
HOLD_SECONDS = 120.0
_lock = threading.RLock()
_held: dict[str, Any] | None = None


def hold(drain_seconds: float = DRAIN_SECONDS, seconds: float = HOLD_SECONDS, force: bool = False) -> dict[str, Any]:
    """Pause the engine for at most ``seconds``. Returns how long calls took to end, and what was interrupted.

    Raises Busy (see `sluice_ext.pausing`) when calls do not end in time.
    """
    global _held
    with _lock:
        if _held:
            raise Busy("the engine is held already")
        report = GATE.pause(drain_seconds, _END_SECONDS, force)
        timer = threading.Timer(seconds, _expire)
        timer.daemon = True
        timer.start()
        _held = report | {"timer": timer}
        return report


def release() -> bool:
    """The engine goes on; False when it was not held (any more)."""
    global _held
    with _lock:
        if not _held:
            return False
        _held["timer"].cancel()
        _held = None
        return GATE.resume()


def _expire() -> None:
    if release():
        LOG.warning("The engine was held for too long and goes on")


def save(
    folder: Path,
    objects_folder: Path | None = None,
    attached: dict[str, Path] | None = None,
    drain_seconds: float = DRAIN_SECONDS,
    force: bool = False,
) -> dict[str, Any]:
    """Save the state in ``folder``. ``attached``: further files that belong to it, by name.

    Returns the manifest's head: services, sizes, and how long calls waited (``paused_seconds``).
    """
    began = time.monotonic()
    objects = files.Objects(objects_folder or folder.parent / "objects")
    with _lock, objects.locked():
        mine = _held is None
        if mine and attached:
            raise versions.Refused("what is attached must be of the moment of a hold, and the engine is not held")
        if mine:
            _save_early(objects)
            hold(drain_seconds, force=force)
        assert _held is not None
        paused, waited, interrupted = time.monotonic(), _held["seconds"], list(_held["interrupted"])
        try:
            with GATE.exempt():
                parts, index, listed = _copy(objects)
        finally:
            if mine:
                release()
        paused_seconds = time.monotonic() - paused + waited
        manifest = {
            "versions": versions.here(),
            "saved_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **listed,
            "interrupted": interrupted,
            "parts": {name: _part(objects, data) for name, data in parts.items()},
            "attached": {name: _attached(objects, path) for name, path in (attached or {}).items()},
            "objects": contents.of_index(index),
        }
        files.commit(objects, folder, manifest)
        took = {"paused_seconds": round(paused_seconds, 3), "seconds": round(time.monotonic() - began, 3)}
        return head(manifest) | took


def store_early(objects_folder: Path) -> None:
    """Store S3's contents before a hold, so that what is left to store during the hold is little."""
    objects = files.Objects(objects_folder)
    with _lock, objects.locked():
        _save_early(objects)


def _save_early(objects: files.Objects) -> None:
    if SERVICE_PLUGINS.is_running("s3"):
        contents.save_early(objects)


def head(manifest: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says, with its contents counted instead of listed."""
    listed = {"parts", "objects"}
    return {name: value for name, value in manifest.items() if name not in listed} | {
        "objects": len(manifest["objects"]),
        "bytes": sum(size for _, _, size in files.named_contents(manifest)),
    }


def _copy(objects: files.Objects) -> tuple[dict[str, bytes], contents.Index, dict[str, Any]]:
    """The engine is paused: copy what it holds in memory, and the S3 objects that are not stored yet.

    Returns the parts, the index of S3's contents, and what the manifest lists: services, moto's backends, and services
    that are left out with the reason.
    """
    own.before_save()
    loaded = sorted({*SERVICE_PLUGINS.list_loaded_services(), *containers.RESTORED})
    index: contents.Index = contents.save(objects) if "s3" in loaded else {"objects": [], "parts": []}
    left_out = {service: "its data is in files of its own" for service in loaded if containers.has_files(service)}
    while True:
        services = [service for service in loaded if service not in left_out]
        backends = containers.used_backends()
        roots = containers.roots(services, backends)
        held = [(name, containers.content(container)) for name, container in roots.items()]
        try:
            stores = pickling.dumps([*held, ("index", index)], roots)
            break
        except pickling.NotSavable as error:
            service = error.name.split("/")[0]
            if service not in services or service in containers.ESSENTIAL:
                raise
            left_out[service] = str(error)
    parts = {"stores": stores, "extension": pickling.dumps(own.collect().items(), roots)}
    return parts, index, {"services": services, "backends": backends, "left_out": left_out}


def _part(objects: files.Objects, data: bytes) -> dict[str, Any]:
    digest, size = objects.add([data])
    return {"sha256": digest, "size": size}


def _attached(objects: files.Objects, path: Path) -> dict[str, Any]:
    digest, size = objects.add_file(path)
    return {"sha256": digest, "size": size}
