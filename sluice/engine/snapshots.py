"""Snapshots of an instance: saved, loaded, listed, removed, exported and imported by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sluice.console import fail, human_bytes, note
from sluice.engine import choice
from sluice.engine.instance import EngineInfo, Instance, not_running
from sluice.engine.states import archive, files, saving
from sluice.engine.states.files import BEFORE_LOAD, LAST, Manifest, States

Report = Callable[[str], None]


@dataclass(frozen=True)
class Listed:
    """A snapshot in the list. `own_bytes`: what only this one needs, and what `rm` frees. `error`: why it is of no
    use."""

    name: str
    saved_at: str
    bytes: int
    own_bytes: int
    objects: int
    error: str = ""


def save(instance: Instance, name: str) -> saving.Saved:
    """Saves what the engine holds now as a snapshot. The name may be that of an earlier one, which is replaced.

    Raises SluiceError: code 2 for a name that is none, 1 when it cannot be saved.
    """
    files.check_name(name)
    with instance.lock():
        info = _running(instance)
        return saving.save(instance, info, name, choice.reach(instance, info))


def load(instance: Instance, name: str, *, discard: bool = False, report: Report = note) -> EngineInfo:
    """Restarts the engine with a snapshot, on the same ports. What it held before becomes the snapshot `before-load`,
    unless `discard`. An engine that does not run is started.

    Raises SluiceError, and changes nothing, when there is no such snapshot, it is damaged, or the engine's versions are
    others.
    """
    from sluice import engine

    states = States(instance.states_dir)
    with instance.lock():
        manifest = states.get(name)
        if wrong := states.damage(name, manifest):
            raise files.Damaged(wrong)
        info = instance.info()
        running = _running(instance) if info is not None and info.engine.alive() else None
        if running is not None:
            reach = choice.reach(instance, running)
            reach.check(running, name)
            if not discard:
                saving.save(instance, running, BEFORE_LOAD, reach)
                report(f"engine  what it held is saved: `sluice snapshot load {BEFORE_LOAD}` brings it back")
        # From here on a start restores the snapshot, whatever happens to this command.
        states.copy(name, LAST)
        if running is not None:
            _stop(instance, running, report)
    return engine.up(
        instance,
        kind=running.kind if running else None,
        faults=bool(running and running.faults),
        port=running.port if running else None,
        postgres_port=running.postgres_port if running else None,
        report=report,
    )


def ls(instance: Instance) -> list[Listed]:
    """All snapshots, and the state of the last `sluice down`, by name."""
    states = States(instance.states_dir)
    manifests: dict[str, Manifest | str] = {}
    for name in states.names():
        try:
            manifests[name] = states.get(name)
        except files.Damaged as error:
            manifests[name] = str(error)
    return [_listed(name, manifest, manifests) for name, manifest in manifests.items()]


def _listed(name: str, manifest: Manifest | str, everyone: dict[str, Manifest | str]) -> Listed:
    if isinstance(manifest, str):
        return Listed(name, "?", 0, 0, 0, manifest)
    others = {
        content.digest
        for other, values in everyone.items()
        if other != name and isinstance(values, Manifest)
        for content in values.contents
    }
    own = sum(content.size for content in manifest.contents if content.digest not in others)
    return Listed(name, manifest.saved_at, manifest.size, own, len(manifest.values["objects"]))


def show(instance: Instance, name: str) -> dict[str, Any]:
    """What a snapshot holds, after all its contents have been compared with their sums (`damage`)."""
    states = States(instance.states_dir)
    manifest = states.get(name)
    listed = next(one for one in ls(instance) if one.name == name)
    known = {key: manifest.values.get(key) for key in ("services", "left_out", "interrupted", "versions")}
    attached = {key: content.size for key, content in manifest.attached.items()}
    return asdict(listed) | known | {"attached": attached, "damage": states.damage(name, manifest)}


def rm(instance: Instance, name: str) -> int:
    """Removes a snapshot. Returns how many bytes are free now. Raises SluiceError when there is none."""
    states = States(instance.states_dir)
    if name not in states.names():
        states.missing(name)
    freed = next(one.own_bytes for one in ls(instance) if one.name == name)
    states.remove(name)
    return freed


def export(instance: Instance, name: str, target: Path) -> Manifest:
    """Writes a snapshot into one file. Raises SluiceError when it is damaged or the file cannot be written."""
    return archive.export(States(instance.states_dir), name, target)


def import_(instance: Instance, name: str, source: Path) -> Manifest:
    """Reads a snapshot that was exported, here or elsewhere. Raises SluiceError when the file is not whole."""
    files.check_name(name)
    if not source.is_file():
        fail(f"there is no file {source}")
    instance.states_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return archive.load(States(instance.states_dir), name, source)


def describe(saved: saving.Saved, name: str) -> str:
    """One line about a snapshot that was saved."""
    size = human_bytes(saved.manifest.size)
    return f"snapshot {name!r} saved in {saved.seconds} s ({size}); calls waited {saved.paused_seconds} s"


def _running(instance: Instance) -> EngineInfo:
    info = instance.info()
    if info is None or not info.engine.alive():
        fail(not_running(info), 1)
    return info


def _stop(instance: Instance, running: EngineInfo, report: Report) -> None:
    if running.kind == choice.DOCKER:
        from sluice.engine.docker import lifecycle as docker

        docker.stop_servers(instance)
        return
    from sluice.engine.embedded import lifecycle as embedded

    embedded.stop_servers(instance, report)
