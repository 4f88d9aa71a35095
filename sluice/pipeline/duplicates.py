"""Rows whose key occurs more than once in committed silver: counted by `verify`, remembered for `status`.

`verify` reads every silver file anyway, so counting costs no request more. `status` would have to read them all, so it
shows the last count as long as the ledger has the very runs that were counted, and says so when it has not.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice import paths
from sluice.pipeline.ledger import LedgerView
from sluice.pipeline.source import known_datasets

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack


@dataclass(frozen=True)
class Duplicates:
    """``rows``: those whose key another row has, too. ``keys``: how many keys they have, each a row of ``_current``."""

    rows: int
    keys: int

    def __str__(self) -> str:
        return f"{self.rows:,} rows have {self.keys:,} key{'' if self.keys == 1 else 's'}"


type Counts = dict[str, Duplicates | None]
"""By dataset; None where they could not be counted."""


@dataclass
class KeyColumns:
    """The key columns of silver files, by dataset; threads may add to it side by side."""

    _parts: dict[str, list[Any]] = field(default_factory=dict)

    @staticmethod
    def of(dataset: str) -> tuple[str, ...]:
        """The names of the key columns; none when this checkout knows no key of the dataset."""
        known = known_datasets().get(dataset)
        return known.key if known else ()

    def add(self, dataset: str, part: Any) -> None:
        self._parts.setdefault(dataset, []).append(part)

    def count(self) -> Counts:
        return {name: _count(parts, self.of(name)) for name, parts in sorted(self._parts.items())}


def _count(parts: list[Any], key: tuple[str, ...]) -> Duplicates | None:
    """NULL is a value like others, as in ``_current``."""
    import pyarrow as pa

    from sluice.console import SluiceError
    from sluice.pipeline import query

    try:
        table = pa.concat_tables(parts, promote_options="permissive")
        names = ", ".join(f'"{name}"' for name in key)
        grouped = f"SELECT count(*) AS n FROM t GROUP BY {names} HAVING count(*) > 1"
        [(rows, keys)] = query.run({"t": table}, f"SELECT coalesce(sum(n), 0), count(*) FROM ({grouped})").rows
    except (pa.ArrowException, SluiceError):  # columns of types that do not compare, or too much for the memory
        return None
    return Duplicates(int(rows or 0), int(keys or 0))


# -- remembered --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Remembered:
    """``of``: what was counted, see ``state_of``."""

    at: str
    of: str
    counts: Counts


def state_of(stack: Stack) -> str:
    """What a count is a count of: each committed object with its run and its end, and the datasets of this checkout."""
    digest = hashlib.sha256()
    for entry in sorted(LedgerView.of(stack).committed_runs()):
        digest.update(f"{' '.join(entry)}\n".encode())
    for path in sorted(paths.DATASETS_DIR.glob("*.y*ml")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def remember(stack: Stack, before: str, counts: Mapping[str, Duplicates | None]) -> None:
    """Stores a count, unless something was committed between ``before`` (state_of) and now."""
    if state_of(stack) != before:
        return
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = json.dumps(asdict(Remembered(at, before, dict(counts))))
    file = _file(stack)
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text)
        partial.replace(file)
    except OSError:
        return  # a checkout that cannot be written: status says that nothing was counted


def remembered(stack: Stack) -> Remembered | None:
    """The last count if it is still true; None when there is none, or something was committed since."""
    try:
        raw = json.loads(_file(stack).read_text())
        counts = {name: Duplicates(**found) if found else None for name, found in raw["counts"].items()}
        last = Remembered(str(raw["at"]), str(raw["of"]), counts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return last if last.of == state_of(stack) else None


def _file(stack: Stack) -> Path:
    place = json.dumps([stack.endpoint_url, stack.region, stack.outputs.get("account_id"), stack["ledger_table"]])
    return paths.CACHE_DIR / "duplicates" / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"
