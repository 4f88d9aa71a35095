"""The way back: the version that was in service before, at once and for all invocations.

Coming twice, it changes nothing the second time: what is back is recorded as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sluice.console import FAILED, SluiceError, fail
from sluice.release import aliases
from sluice.release.aliases import ChangedMeanwhile, Live, Move, Record
from sluice.release.shift import Moved

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack


def rollback(stack: Stack, keys: Sequence[str] = ()) -> list[Moved]:
    """Puts functions back at the version that was in service before; returns those that were moved.

    keys: the functions. Without any: all that the last release has moved or begun to move. A weight that a shift has
    left is removed, and the function stays at the version that it had. Raises SluiceError (code 1) when there is no
    version to go back to, or it was deleted (then nothing was moved), or another changes an alias at the same time.
    """
    functions = aliases.read(stack, keys)
    chosen = functions if keys else _last_release(functions)
    moves = [move for one in chosen if (move := _back(one, named=bool(keys))) is not None]
    client, done = stack.client("lambda"), []
    for live, version, record in moves:
        try:
            aliases.point(client, live, version, {}, record)
        except ChangedMeanwhile as error:
            raise SluiceError(f"the alias of {live.key} was changed by another: run it again", FAILED) from error
        except client.exceptions.ResourceNotFoundException as error:  # a deployment has removed it meanwhile
            raise SluiceError(_gone(live, version), FAILED) from error
        done.append(Moved(live.key, record.other, version))
    return done


def _last_release(functions: Sequence[Live]) -> list[Live]:
    """What the last release has moved, and whatever has weights. Raises SluiceError when no release is recorded."""
    releases = [one.record.release for one in functions if one.record is not None]
    weighted = [one for one in functions if one.weights]
    if not releases and not weighted:
        candidates = ", ".join(one.key for one in functions if one.before is not None) or "none"
        fail(f"no shift is recorded: name the functions with --function (with a version before: {candidates})", FAILED)
    last = max(releases, default="")
    return [one for one in functions if one.weights or (one.record is not None and one.record.release == last)]


def _back(live: Live, *, named: bool) -> tuple[Live, str, Record] | None:
    release = live.record.release if live.record is not None else "0"
    if live.weights:
        return live, live.version, Record(live.version, Move.BACK, max(live.weights, key=int), release)
    if live.record is not None and live.record.move is not Move.AFTER:
        return None  # it is back already, or its shift had not begun
    if live.before is None:
        if named:
            fail(f"{live.key} has no version before {live.version}", FAILED)
        return None
    if live.before not in live.versions:
        fail(_gone(live, live.before), FAILED)
    return live, live.before, Record(live.before, Move.BACK, live.version, release)


def _gone(live: Live, version: str) -> str:
    return f"version {version} of {live.key}, the one before {live.version}, was deleted: deploy its source again"
