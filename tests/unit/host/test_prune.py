"""Old versions of functions are removed, and never one that is or may come into service."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.console import SluiceError
from sluice.polling import Clock
from sluice.release import aliases
from sluice.release.prune import NEWEST, Pruned, prune
from sluice.release.rollback import rollback
from sluice.release.shift import shift
from tests.support.releases import Account

KEYS = ["ingest", "load"]


def pruned(on: Any, said: list[str] | None = None) -> list[Pruned]:
    return prune(on, (said if said is not None else []).append)


def numbers(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


def test_the_newest_versions_stay_and_the_one_in_service() -> None:
    on = Account({"ingest": numbers(1, 9), "load": [1]})
    on.deploy("load", 2)
    assert pruned(on) == [Pruned("ingest", ("1", "2", "3", "4"))]
    assert on.versions == {"ingest": numbers(5, 9), "load": [1, 2]}
    assert pruned(on) == []


def test_what_any_alias_names_stays_and_the_version_before_it() -> None:
    on = Account({"ingest": [3]})
    on.versions["ingest"][:] = numbers(1, 20)
    on.others["ingest"] = "6"
    on.aliases["ingest"]["RoutingConfig"] = {"AdditionalVersionWeights": {"9": 0.1}}
    on.aliases["ingest"]["Description"] = str(aliases.Record("3", aliases.Move.AFTER, "1", "2026-01-01T00:00:00Z"))
    pruned(on)
    assert on.versions["ingest"] == [1, 2, 3, 5, 6, 9, *numbers(16, 20)]


def test_functions_without_versions_are_left_alone() -> None:
    on = Account({"ingest": numbers(1, 20)})
    on.alias = None
    assert pruned(on) == []
    assert on.versions["ingest"] == numbers(1, 20)


@pytest.mark.parametrize(
    ("code", "left", "said"),
    [
        ("ResourceConflictException", [2], []),
        ("ResourceNotFoundException", [2], []),
        ("AccessDeniedException", [2, 3, 4],
         ["versions of ingest were not all removed (AccessDeniedException): the next deployment tries again"]),
    ],
)  # fmt: skip
def test_what_lambda_refuses_ends_no_deployment(code: str, left: list[int], said: list[str]) -> None:
    on, lines = Account({"ingest": numbers(1, 9), "load": numbers(1, 6)}), []  # type: ignore[var-annotated]
    on.refused["ingest 2"] = code
    pruned(on, lines)
    assert lines == said
    assert on.versions == {"ingest": [*left, *numbers(5, 9)], "load": numbers(2, 6)}


def test_a_rollback_names_a_version_that_is_gone_and_moves_nothing() -> None:
    on: Any = Account({"ingest": [1], "load": [1]})
    for key in KEYS:
        on.deploy(key, 2, held=True)
    _shift(on)
    on.versions["load"].remove(1)
    line = "version 1 of load, the one before 2, was deleted: deploy its source again"
    for keys in ((), ("load",)):
        with pytest.raises(SluiceError) as raised:
            rollback(on, keys)
        assert (str(raised.value), raised.value.code) == (line, 1)
    assert {key: on.in_service(key) for key in KEYS} == {"ingest": ("2", {}), "load": ("2", {})}
    assert len(rollback(on, ["ingest"])) == 1


def test_a_version_that_goes_while_a_rollback_runs_is_named() -> None:
    on: Any = Account({"ingest": [1, 2]})
    on.fail_at, on.error = 0, on.exceptions.ResourceNotFoundException("1")
    with pytest.raises(SluiceError, match="version 1 of ingest, the one before 2, was deleted"):
        rollback(on, ["ingest"])


Operations = st.lists(
    st.tuples(st.sampled_from(["deploy", "hold", "shift", "killed shift", "rollback"]), st.sampled_from(KEYS)),
    max_size=30,
)


@given(operations=Operations, dies=st.none() | st.integers(0, 5), other=st.none() | st.integers(1, 8))
def test_whatever_came_before_releases_go_as_if_nothing_had_been_removed(
    operations: list[tuple[str, str]], dies: int | None, other: int | None
) -> None:
    """Two accounts, the same operations: what is pruned after each one, or half of it, is in the way of none."""
    on, whole = Account({key: [1] for key in KEYS}), Account({key: [1] for key in KEYS})
    for operation, key in operations:
        assert [_does(one, operation, key) for one in (on, whole)] in ([True, True], [False, False])
        if other is not None and other in on.versions["load"]:
            on.others["load"] = str(other)
        on.dies_after, on.deleted = dies, 0
        with contextlib.suppress(KeyboardInterrupt):
            pruned(on)
        on.dies_after = None
        for one in KEYS:
            assert on.in_service(one) == whole.in_service(one)
            version, weights = on.in_service(one)
            assert {int(number) for number in (version, *weights)} <= set(on.versions[one])
            assert on.versions[one][-NEWEST:] == whole.versions[one][-NEWEST:]
    pruned(on)
    assert pruned(on) == []
    assert all(len(on.versions[key]) <= NEWEST + 6 for key in KEYS)


def _does(on: Any, operation: str, key: str) -> bool:
    try:
        if operation in ("deploy", "hold"):
            on.deploy(key, on.versions[key][-1] + 1, held=operation == "hold")
        elif operation == "rollback":
            rollback(on, [key])
        elif operation == "shift":
            _shift(on, key)
        else:
            _killed_shift(on, key)
    except SluiceError:
        return False
    return True


def _killed_shift(on: Any, key: str) -> None:
    """SIGKILL after the first step: what would put the function back is not there either."""
    update, allowed = on.update_alias, [None]

    def dies(**request: Any) -> Any:
        if not allowed:
            raise RuntimeError
        allowed.pop()
        return update(**request)

    on.update_alias = dies
    try:
        _shift(on, key)
    finally:
        on.update_alias = update


def _shift(on: Any, *keys: str) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    shift(on, keys, [50, 100], 0, report=lambda _: None, clock=Clock(lambda: now[0], sleep))
