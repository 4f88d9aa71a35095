"""The list of what plain LocalStack passes of its own suite and the engine does not, and its table.

suite.toml has the suite's version, and for each service the test files, how many tests ran, how many pass here, how
many on plain LocalStack (`plain`, where its whole run without Docker is known), and each that passes on plain
LocalStack and not here, with a reason (the others fail on both):

| kind | what the test wants | what has to be there |
|---|---|---|
| aws | something that AWS does not do | page: AWS's page |
| host | an interface or a setting of LocalStack that AWS does not have | |
| open | what AWS does and the engine does not | |

`python -m tests.localstack_suite.listed SERVICE PLAIN OURS` compares two files of results (see run.py) with the list.
"""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).parent / "suite.toml"
KINDS = ("aws", "host", "open")
SERVICES = "tests/aws/services"


@dataclass(frozen=True)
class Difference:
    """Tests (`file::name`, below `tests/aws/services`) that pass on plain LocalStack and not here, and why."""

    tests: tuple[str, ...]
    kind: str
    reason: str
    page: str = ""


@dataclass(frozen=True)
class Service:
    """One service's part of the suite."""

    name: str
    arguments: tuple[str, ...]
    run: int
    here: int
    differs: tuple[Difference, ...]
    plain: int | None = None

    @property
    def listed(self) -> set[str]:
        """Tests that do not pass here."""
        return {test for one in self.differs for test in one.tests}


@dataclass(frozen=True)
class Suite:
    """What was run."""

    version: str
    commit: str
    services: tuple[Service, ...]


def load(path: Path = LIST) -> Suite:
    """The list. Raises KeyError or TypeError when a field is missing or unknown."""
    found = tomllib.loads(path.read_text())
    services = tuple(
        Service(
            one["name"],
            tuple(one["arguments"]),
            one["run"],
            one["here"],
            tuple(Difference(**{**each, "tests": tuple(each["tests"])}) for each in one.get("differs", [])),
            one.get("plain"),
        )
        for one in found["service"]
    )
    return Suite(found["version"], found["commit"], services)


def table(suite: Suite) -> str:
    """The table of docs/engine.md."""
    counted = "| part | tests | pass here | pass on plain "
    lines = [f"{counted}| only on plain: AWS differs | LocalStack's own interface | open |"]
    lines.append("|---|---|---|---|---|---|---|")
    for one in suite.services:
        counts = (sum(len(each.tests) for each in one.differs if each.kind == kind) for kind in KINDS)
        cells = (one.name, one.run, one.here, "" if one.plain is None else one.plain, *counts)
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(lines)


def passed(results: Path) -> set[str]:
    """The tests that passed in a run, below `tests/aws/services`."""
    found: dict[str, list[str]] = json.loads(results.read_text())
    return {test.removeprefix(f"{SERVICES}/") for test, (outcome, _) in found.items() if outcome == "passed"}


def compare(service: Service, plain: set[str], here: set[str]) -> list[str]:
    """What does not fit the list: one line each."""
    lines = [f"passes on plain and not here: {test}" for test in sorted(plain - here - service.listed)]
    lines += [f"is in the list and passes here: {test}" for test in sorted(service.listed & here)]
    if len(here) < service.here:
        lines.append(f"{service.here} tests of the list's passed here, these are {len(here)}")
    return lines


def main() -> int:
    """Prints what does not fit; 1 when anything does not."""
    name, plain, here = sys.argv[1:]
    (service,) = (one for one in load().services if one.name == name)
    lines = compare(service, passed(Path(plain)), passed(Path(here)))
    print("\n".join(lines) or f"{name}: as listed")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
