"""Restores a saved state in an engine that has done nothing yet, before it serves its first call."""

import fcntl
import logging
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from localstack.services.plugins import SERVICE_PLUGINS

from sluice_ext.state import containers, contents, files, own, pickling, restart, versions

LOG = logging.getLogger(__name__)


def load(folder: Path, objects_folder: Path | None = None) -> dict[str, Any]:
    """Check the state in ``folder`` and restore it. Returns the services and how long it took.

    Raises:
        FileNotFoundError: there is no state.
        Refused: it is of other versions, or cut or altered. Nothing has been changed.
    """
    began = time.monotonic()
    if not (folder / files.MANIFEST).exists():
        raise FileNotFoundError(2, "there is no state", str(folder / files.MANIFEST))
    objects = files.Objects(objects_folder or folder.parent / "objects")
    with objects.locked(fcntl.LOCK_SH):
        manifest = _restore(folder, objects)
    report = {
        "services": manifest["services"],
        "saved_at": manifest["saved_at"],
        "seconds": round(time.monotonic() - began, 3),
    }
    LOG.info("Restored the state of %s: %s", manifest["saved_at"], report)
    return report


def _restore(folder: Path, objects: files.Objects) -> dict[str, Any]:
    manifest = checked(folder, objects)
    services = manifest["services"]
    roots = containers.roots(services, manifest["backends"])
    stores = dict(pickling.loads(_part(objects, manifest, "stores"), roots))
    extension = dict(pickling.loads(_part(objects, manifest, "extension"), roots))
    for name, container in roots.items():
        containers.fill(container, stores[name])
    if "s3" in services:
        contents.restore(objects, stores["index"])
    own.restore(extension)
    containers.RESTORED.update(containers.WITHOUT_CONTAINERS.intersection(services))
    restart.services(services)
    own.restart(extension)
    restart.overdue(services, datetime.fromisoformat(manifest["saved_at"]).timestamp())
    return manifest


def checked(folder: Path, objects: files.Objects) -> dict[str, Any]:
    """The manifest, after everything that it names has been compared with its sum."""
    try:
        manifest = files.read_manifest(folder)
    except ValueError as error:
        raise versions.Refused(str(error)) from error
    versions.check(manifest["versions"], folder)
    for name, digest, size in files.named_contents(manifest):
        if wrong := objects.verify(digest, size):
            raise versions.Refused(f"the state in {folder} is damaged: {name} ({digest[:12]}) {wrong}")
    return manifest


def is_fresh() -> bool:
    """Whether no service has been used, so that nothing is lost by loading."""
    return not SERVICE_PLUGINS.list_loaded_services()


def _part(objects: files.Objects, manifest: dict[str, Any], name: str) -> bytes:
    return objects.path(manifest["parts"][name]["sha256"]).read_bytes()
