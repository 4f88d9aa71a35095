"""The verdict of an audit: a JSON file, which `audit` writes and `publish` and the operator's tool read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

RESULTS: Final = "results/"
PAGES: Final = "docs/"


def verdict_key(object_id: str, run: int) -> str:
    return f"{RESULTS}{object_id}/{run:05d}.json"


def page_key(dataset: str, object_id: str, run: int) -> str:
    """The verdict as a page; ``dataset``: the object's."""
    return f"{PAGES}{dataset}/{object_id}-{run:05d}.html"


class NoVerdict(RuntimeError):
    """The file is not there, or is no verdict on this run."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An expectation that did not hold, of the rows of one dataset; ``expectation`` as in the file."""

    dataset: str
    expectation: Mapping[str, Any]

    @property
    def hard(self) -> bool:
        return bool(self.expectation["hard"])

    def __str__(self) -> str:
        """``has_a_venue: 3 of 20 rows``, or what was observed of all rows together."""
        one = self.expectation
        return f"{one['name']}: {one.get('observed') or f'{int(one["failed"])} of {int(one["rows"])} rows'}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``passed``: no hard expectation is broken. ``broken``: hard ones first."""

    passed: bool
    broken: list[Broken]

    @classmethod
    def from_json(cls, body: bytes, object_id: str, run: int) -> "Verdict":
        """Raises NoVerdict."""
        try:
            raw = json.loads(body)
            if (raw["object_id"], int(raw["run"])) != (object_id, run):
                raise NoVerdict(f"the verdict is on run {raw['run']} of {raw['object_id']}")
            broken = [
                Broken(name, one)
                for name, part in sorted(raw["datasets"].items())
                for one in part["expectations"]
                if not one["passed"]
            ]
            passed = raw["passed"] is True
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NoVerdict(f"not a verdict, {error!r} is missing or wrong") from error
        return cls(passed, sorted(broken, key=lambda one: not one.hard))
