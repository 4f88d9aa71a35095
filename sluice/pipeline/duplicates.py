"""The last count of rows whose key occurs more than once in committed silver: by `verify`, remembered for `status`.

`verify` reads every silver file anyway, so counting costs no request more (`sluice.pipeline.key_counts`). `status`
would have to read them all, so it shows the last count as long as nothing was committed since, and else says that
nothing was counted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sluice import paths
from sluice.pipeline.key_counts import Counts, Duplicates
from sluice.pipeline.ledger import LedgerView
from sluice_pipeline.ledger.items import State

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack


LAST = 200
"""Committed objects that are compared one by one: more than are committed while clocks of two functions differ."""


@dataclass(frozen=True)
class Remembered:
    """``of``: what was counted, see ``state_of``."""

    at: str
    of: str
    counts: Counts


def state_of(stack: Stack, committed: int | None = None) -> str:
    """What a count is a count of: how many objects are committed (``committed``, if known), the last that were, each
    with its run and its end, and the datasets of this checkout.

    An object that is committed, also again, becomes one of the last; one that leaves is missing in the number. So
    100,000 objects cost what a thousand do.
    """
    ledger = LedgerView.of(stack)
    number = ledger.count(State.COMMITTED) if committed is None else committed
    digest = hashlib.sha256(f"{number}\n".encode())
    for entry in sorted(ledger.last_runs(LAST)):
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


def remembered(stack: Stack, committed: int | None = None) -> Remembered | None:
    """The last count if it is still true; None when there is none, or something was committed since.

    ``committed``: how many objects are, if the caller knows.
    """
    try:
        raw = json.loads(_file(stack).read_text())
        counts = {name: Duplicates(**found) if found else None for name, found in raw["counts"].items()}
        last = Remembered(str(raw["at"]), str(raw["of"]), counts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return last if last.of == state_of(stack, committed) else None


def _file(stack: Stack) -> Path:
    place = json.dumps([stack.endpoint_url, stack.region, stack.outputs.get("account_id"), stack["ledger_table"]])
    return paths.CACHE_DIR / "duplicates" / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"
