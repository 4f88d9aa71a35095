"""What `sluice verify` and `sluice ls` say of objects of bronze that are not ingested."""

from __future__ import annotations

from collections.abc import Sequence

from sluice import console

_NAMES = 5  # --json has all of them


def note_unmanaged(keys: Sequence[str]) -> None:
    """Names the first of these keys, and how many more there are."""
    for key in keys[:_NAMES]:
        console.note(f"unmanaged {key}: not under bronze/<dataset>/, it is not ingested")
    if len(keys) > _NAMES:
        console.note(f"unmanaged ... and {len(keys) - _NAMES:,} more; --json shows them")
