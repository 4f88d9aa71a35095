"""What is measured in which order, on which engines, and what comes of it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psutil

from sluice.bench import (
    bulk,
    calibration,
    engine_figures,
    lake,
    load,
    part_figures,
    peers,
    redshift,
    row_per_message,
    stage,
    taxi,
)
from sluice.bench.engine_figures import hop_figures, setup_figures, start_figures
from sluice.bench.figures import Figure, Side
from sluice.bench.measuring import MB, Calibrated, Report, guarded
from sluice.bench.part_figures import API_REQUESTS
from sluice.console import human_bytes, note
from sluice.engine import DOCKER, EMBEDDED

PARTS = ("setup", "hop", "bulk", "rows", "load", "api", "lake", "redshift", "taxi")


@dataclass(frozen=True)
class Plan:
    """What to measure, and on how much."""

    parts: Sequence[str]
    objects: int
    bulk_mb: int


@dataclass
class Result:
    """Figures of ours and of the peers, and the machine they were taken on."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, str]
    figures: list[Figure] = field(default_factory=list)
    ours: str = "Sluice"
    peers: list[Side] = field(default_factory=list)
    """What is measured beside it: other emulators, or our own engine in containers."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "settings": self.settings,
            "versions": self.versions,
            "figures": [figure.to_dict() for figure in self.figures],
            "peers": [
                {"name": peer.name, "figures": [figure.to_dict() for figure in peer.figures]} for peer in self.peers
            ],
        }


def run(plan: Plan, *, beside: Sequence[peers.Peer] = (), with_docker: bool = False, report: Report = note) -> Result:
    """Measures everything of the plan on an engine and a stack of its own, then the hop on each peer.

    with_docker: everything on the embedded engine, then on the Docker engine instead of the peers.
    One engine runs at a time, because two would share the processors. What cannot be measured becomes a figure without
    a value that says why. Raises SluiceError only when our own engine or stack cannot be had.
    """
    given = None
    if "bulk" in plan.parts:
        report(f"bench   input of {plan.bulk_mb} MB (made once, kept in .sluice/cache)")
        given = bulk.generate(plan.bulk_mb)
    settings = {"parts": list(plan.parts), "objects": plan.objects, "bulk_mb": plan.bulk_mb}
    result = Result(machine_facts(), settings, {})
    result.versions, result.figures = _own_figures(plan, given, EMBEDDED if with_docker else None, report)
    if with_docker:
        result.ours = EMBEDDED
        found = guarded("setup", DOCKER, lambda: _own_figures(plan, given, DOCKER, report)[1])
        result.peers.append(Side(DOCKER, found))
    for peer in beside:
        found = guarded("hop", "hop", lambda peer=peer: engine_figures.peer_figures(peer, plan.objects, report))  # type: ignore[misc]
        result.peers.append(Side(peer.title, found))
    return result


def _own_figures(
    plan: Plan, given: bulk.Input | None, kind: str | None, report: Report
) -> tuple[dict[str, str], list[Figure]]:
    """Versions and figures of our own engine of this kind (without one: the one that $ENGINE asks for)."""
    found: list[Figure] = []
    clock = Calibrated(report)
    with stage.own_engine(report, kind) as own:
        clock.beside = own
        info = own.instance.info()
        versions = dict(info.versions) if info else {}
        found += clock.around(lambda: start_figures(own))
        if "setup" in plan.parts:
            found += clock.around(lambda: guarded("setup", "set-up", lambda: setup_figures(own, report)))
        if "hop" in plan.parts:
            found += hop_figures(own, plan.objects, report, clock)
        if "rows" in plan.parts:
            report(f"bench   row per message, {row_per_message.ROWS:,} rows")
            found += clock.around(lambda: guarded("rows", "row per message", lambda: part_figures.row_figures(own)))
        if "load" in plan.parts:
            report(f"bench   load, {load.ROWS_MB} MB of rows and {load.ENTITIES:,} entities twice")
            found += clock.around(lambda: guarded("load", "load", lambda: part_figures.load_figures(own)))
        if "api" in plan.parts:
            report(f"bench   analytics API, {API_REQUESTS} requests of a kind")
            found += clock.around(lambda: guarded("api", "analytics API", lambda: part_figures.api_figures(own)))
        if "lake" in plan.parts:
            report(f"bench   lake, {lake.ROWS:,} rows and {lake.CRAWLED:,} files")
            found += clock.around(lambda: guarded("lake", "lake", lambda: part_figures.lake_figures(own)))
        if "redshift" in plan.parts:
            report(f"bench   redshift, {redshift.ROWS:,} rows")
            found += clock.around(lambda: guarded("redshift", "COPY", lambda: part_figures.redshift_figures(own)))
        if "taxi" in plan.parts:
            report(f"bench   taxi, a month of {taxi.ROWS:,} trips")
            found += clock.around(lambda: guarded("taxi", "taxi", lambda: part_figures.taxi_figures(own)))
        if given is not None:
            report(f"bench   bulk, {human_bytes(given.size)}")
            files = given
            found += clock.around(lambda: guarded("bulk", "bulk", lambda: part_figures.bulk_figures(own, files)))
            found += clock.around(lambda: guarded("bulk", "DuckDB", lambda: part_figures.duck_figures(files, found)))
    return versions, found


def machine_facts() -> dict[str, Any]:
    """The machine, and how busy it was before we began: figures of a busy machine say little."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": stage.processor_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "processors": calibration.processors(),
        "memory_mb": round(psutil.virtual_memory().total / MB),
        "load_before": round(os.getloadavg()[0], 2),
    }
