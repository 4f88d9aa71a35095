"""Figures and what they are held against. Pure: nothing here measures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

_MORE_IS_BETTER = ("/s",)
_TIMES = ("s", "ms", "ms/MB")


@dataclass(frozen=True)
class Target:
    """What a figure should reach: at least the value, or at most."""

    value: float
    at_least: bool = False

    def met_by(self, value: float) -> bool:
        return value >= self.value if self.at_least else value <= self.value


def at_least(value: float) -> Target:
    return Target(value, at_least=True)


def at_most(value: float) -> Target:
    return Target(value)


@dataclass(frozen=True)
class Figure:
    """One number. ``value`` is None when it could not be measured; ``note`` then says why.

    ``calibration``: seconds of the calibration loop (`sluice.bench.calibration`) around the measurement.
    """

    group: str
    name: str
    value: float | None
    unit: str
    target: Target | None = None
    note: str = ""
    calibration: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without a target or a value."""
        if self.value is None or self.target is None:
            return None
        return self.target.met_by(self.value)

    def to_dict(self) -> dict[str, Any]:
        target = None
        if self.target:
            target = {"at_least" if self.target.at_least else "at_most": self.target.value}
        return {
            "group": self.group,
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": target,
            "met": self.met,
            "note": self.note,
            "calibration": self.calibration,
        }

    def at_speed(self, calibration: float) -> float | None:
        """The value as if the machine had had this calibration (s); None without a value or a calibration.

        Rates and times change with the machine's speed, sizes, counts and ratios do not.
        """
        if self.value is None or not self.calibration:
            return None
        slower = calibration / self.calibration
        if self.unit.endswith(_MORE_IS_BETTER):
            return self.value / slower
        return self.value * slower if self.unit in _TIMES else self.value


@dataclass(frozen=True)
class Hop:
    """What came of putting objects one after the other. Latency: from a put's start to the object's end."""

    objects: int
    objects_per_s: float
    p50_s: float
    p99_s: float


def summary(started: Sequence[float], ended: Sequence[float]) -> Hop:
    """The hop of objects that started and ended at these times (s), pairwise. Raises ValueError without any."""
    if not started:
        raise ValueError("nothing was measured")
    latencies = [end - begin for begin, end in zip(started, ended, strict=True)]
    seconds = max(ended) - min(started)
    return Hop(len(started), len(started) / seconds, percentile(latencies, 50), percentile(latencies, 99))


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that at least ``percent`` per cent of the values do not exceed (nearest rank).

    Raises ValueError without any value.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def calibrated(figures: Iterable[Figure], before: float, after: float, drift: float) -> list[Figure]:
    """The figures with the mean of the calibrations before and after; those that have one keep it.

    A note says so when the machine changed by more than the factor ``drift`` meanwhile.
    """
    change = max(before, after) / min(before, after)
    changed = f"the machine's speed changed by {change:.1f}x meanwhile" if change > drift else ""

    def with_it(one: Figure) -> Figure:
        texts = (one.note, changed if one.unit.endswith(_MORE_IS_BETTER) or one.unit in _TIMES else "")
        return replace(one, calibration=(before + after) / 2, note="; ".join(filter(None, texts)))

    return [one if one.calibration else with_it(one) for one in figures]


def table(figures: Iterable[Figure]) -> list[tuple[str | None, ...]]:
    """Rows of figure, measured, target, met, calibration and note."""
    return [(f.name, shown(f.value, f.unit), _target(f), _met(f), shown(f.calibration, "s"), f.note) for f in figures]


@dataclass(frozen=True)
class Side:
    """Another engine's figures, beside ours."""

    name: str
    figures: Sequence[Figure]


def side_by_side(ours: Sequence[Figure], peers: Sequence[Side]) -> list[tuple[str | None, ...]]:
    """Rows of name, ours, each peer's, target, ratio to the best of them (more than 1: ours is better), what they say.

    A figure that a side does not have shows a dash there.
    """
    own = {figure.name: figure for figure in ours}
    theirs = [{figure.name: figure for figure in peer.figures} for peer in peers]
    names = dict.fromkeys(name for figures in (own, *theirs) for name in figures)
    return [_row(name, own.get(name), [(peer.name, found.get(name)) for peer, found in zip(peers, theirs, strict=True)])
            for name in names]  # fmt: skip


def _row(name: str, mine: Figure | None, others: Sequence[tuple[str, Figure | None]]) -> tuple[str | None, ...]:
    ratios = [ratio for _, other in others if mine and other and (ratio := _ratio(mine, other.value))]
    said = {peer: other.note for peer, other in others if other and other.note}
    same = len(set(said.values())) == 1 and len(said) == len(others)
    return (
        name,
        shown(mine.value, mine.unit) if mine else None,
        *(shown(other.value, other.unit) if other else None for _, other in others),
        _target(mine) if mine else None,
        f"{min(ratios):.1f}x" if ratios else None,
        next(iter(said.values())) if same else "; ".join(f"{peer}: {note}" for peer, note in said.items()),
    )


def by_group(figures: Iterable[Figure]) -> Mapping[str, list[Figure]]:
    """Figures by group, groups in the order in which they first occur."""
    groups: dict[str, list[Figure]] = {}
    for figure in figures:
        groups.setdefault(figure.group, []).append(figure)
    return groups


def shown(value: float | None, unit: str) -> str | None:
    """A value as people read it: three digits that count, no more."""
    if value is None:
        return None
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f} {unit}".strip()


def _target(figure: Figure) -> str | None:
    if figure.target is None:
        return None
    return f"{'≥' if figure.target.at_least else '≤'} {figure.target.value:,g} {figure.unit}".strip()


def _met(figure: Figure) -> str | None:
    return None if figure.met is None else "yes" if figure.met else "no"


def _ratio(figure: Figure, other: float | None) -> float | None:
    """How many times better ours is."""
    if not figure.value or not other:
        return None
    return figure.value / other if figure.unit.endswith(_MORE_IS_BETTER) else other / figure.value
