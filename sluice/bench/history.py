"""The figures of all runs, one line of JSON for each run, and how they compare.

The file is only read and appended to. A line that was cut, altered, or written by another version is left out, and
named; the next run begins a line of its own.
"""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.bench.figures import Figure, shown
from sluice.build import source
from sluice.paths import SLUICE_DIR

FILE = SLUICE_DIR / "bench" / "history.jsonl"
VERSION = 1
MAX_RUNS = 200
"""The newest ones that are read."""
MAX_LINE = 1_000_000
"""Bytes of a run; a run has some 20 kB."""


class Unreadable(ValueError):
    """A line is no run; the text says why."""


@dataclass(frozen=True)
class Run:
    """One run: when, of which commit (+ behind it: with changes), on which machine, and its figures."""

    at: str
    commit: str
    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    figures: Sequence[Figure]

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Run:
        """What `sluice.bench.suite.Result.to_dict` says, now."""
        figures = [*result["figures"], *_of_peers(result)]
        machine = result["machine"]
        return cls(machine["at"], commit(), machine, result["settings"], [_figure(one) for one in figures])

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "at": self.at,
            "commit": self.commit,
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            "figures": [figure.to_dict() for figure in self.figures],
        }

    @classmethod
    def parse(cls, line: bytes) -> Run:
        """Raises Unreadable for anything else than a run of this version."""
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise Unreadable("is cut or no JSON") from None
        if not isinstance(found, dict):
            raise Unreadable("is no JSON object")
        if found.get("version") != VERSION:
            raise Unreadable(f"has version {str(found.get('version'))[:20]}, and this sluice reads {VERSION}")
        try:
            at, made, machine, settings = (found[name] for name in ("at", "commit", "machine", "settings"))
            figures = [_figure(one) for one in found["figures"]]
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"is no run: {type(error).__name__} {str(error)[:60]}") from None
        if not (
            isinstance(at, str) and isinstance(made, str) and isinstance(machine, dict) and isinstance(settings, dict)
        ):
            raise Unreadable("is no run: a time, commit, machine or setting is of another type")
        return cls(at, made, machine, settings, figures)


def append(file: Path, run: Run) -> None:
    """Adds a run. One write, so that two runs at once do not mix; a former line that was cut stays a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+b") as target:
        end = target.seek(0, os.SEEK_END)
        if end:
            target.seek(end - 1)
        cut = bool(end) and target.read(1) != b"\n"
        target.write(b"\n" * cut + json.dumps(run.to_dict(), ensure_ascii=False).encode() + b"\n")


def read(file: Path) -> tuple[list[Run], list[str]]:
    """The newest runs, oldest first, and what was left out: which line, and why."""
    runs: deque[Run] = deque(maxlen=MAX_RUNS)
    unread: list[str] = []
    try:
        source = file.open("rb")
    except FileNotFoundError:
        return [], []
    with source:
        number = 0
        while line := source.readline(MAX_LINE):
            number += 1
            try:
                if not line.endswith(b"\n") and len(line) == MAX_LINE:
                    while (rest := source.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                        pass
                    raise Unreadable(f"is longer than {MAX_LINE:,} bytes")
                runs.append(Run.parse(line))
            except Unreadable as error:
                unread.append(f"line {number} {error}; it is left out")
    return list(runs), unread


def compare(runs: Sequence[Run], parts: Iterable[str] = ()) -> dict[str, list[tuple[str | None, ...]]]:
    """By group, rows of figure, time, commit, measured, calibration, at equal speed, machine.

    Runs of a figure stand together, the newest last. "At equal speed": as if each run had had the calibration of the
    newest run of that figure. Without parts, all.
    """
    wanted = set(parts)
    series: dict[tuple[str, str], list[tuple[Run, Figure]]] = {}
    for run in runs:
        for figure in run.figures:
            if figure.value is not None and (not wanted or figure.group in wanted):
                series.setdefault((figure.group, figure.name), []).append((run, figure))
    groups: dict[str, list[tuple[str | None, ...]]] = {}
    for (group, name), found in series.items():
        newest = found[-1][1].calibration
        for run, one in found:
            equal = one.at_speed(newest) if newest else None
            groups.setdefault(group, []).append(
                (name, run.at, run.commit, shown(one.value, one.unit), shown(one.calibration, "s"),
                 shown(equal, one.unit), machine_text(run.machine))
            )  # fmt: skip
    return groups


def machine_text(machine: Mapping[str, Any]) -> str:
    """A machine in a few words."""
    memory = machine.get("memory_mb")
    parts = [machine.get("processor"), f"{machine.get('processors')} processors", machine.get("system")]
    if isinstance(memory, int | float):
        parts.append(f"{memory / 1000:.0f} GB")
    return ", ".join(str(part)[:60] for part in parts if part)


def commit() -> str:
    """The short id of the commit that is checked out, with a + when files differ from it; - where git knows none."""
    return source.revision(digits=10, untracked=True) or "-"


def _of_peers(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The other sides' figures, under their names."""
    return [one | {"name": f"{peer['name']}: {one['name']}", "target": None}
            for peer in result["peers"] for one in peer["figures"]]  # fmt: skip


def _figure(found: Mapping[str, Any]) -> Figure:
    """A figure without its target, which is judged when it is measured. Raises KeyError, TypeError or ValueError."""
    group, name, unit, note = (found[key] for key in ("group", "name", "unit", "note"))
    if not all(isinstance(text, str) for text in (group, name, unit, note)):
        raise TypeError("a figure's name, unit or note is no text")
    return Figure(
        group, name, _number(found["value"]), unit, None, note, _number(found.get("calibration"), positive=True)
    )


def _number(value: Any, *, positive: bool = False) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a value is no number")
    number = float(value)
    if not math.isfinite(number) or (positive and number <= 0):
        raise ValueError(f"{number} is no measured value")
    return number
