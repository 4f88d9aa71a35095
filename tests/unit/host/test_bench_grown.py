"""What `sluice bench scale --measured` fills a ledger with, and what its figures are made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice import paths
from sluice.bench import grown, grown_ledger, grown_queue, grown_verbs
from sluice.bench.figures import Figure
from sluice.bench.grown_ledger import Name
from sluice.bench.grown_queue import Mark
from sluice.bench.stage import Usage
from sluice.console import SluiceError
from sluice.engine.instance import Instance
from sluice.pipeline import duplicates
from sluice.processes import ProcessId
from sluice_pipeline.ledger.ledger import Ledger
from tests.support.fakes import FakeStack
from tests.support.memory_dynamo import MemoryDynamo

AT = "2026-11-27T12:00:00.000Z"


def by_key(items: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(item["pk"], item["sk"]): item for item in items}


def committed(name: Name, shards: int) -> list[dict[str, Any]]:
    """The items of an object that the ledger has planned, counted and committed."""
    memory = MemoryDynamo()
    grown_ledger.commit(Ledger(memory, "ledger", shards), name)
    return grown_ledger.written(memory, "ledger", name)


def at_one_moment(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times = ("received_at", "updated_at", "committed_at", "done_at")
    return [item | {time: AT for time in times if time in item} for item in items]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from([1, 4, 8]))
def test_a_copy_is_what_the_ledger_writes_for_that_key(first: int, number: int, shards: int) -> None:
    one, other = (Name("bronze-b", "abcd1234", which) for which in (first, number))
    made = grown_ledger.copy_of(committed(one, shards), one, other, shards, AT)
    assert len(made) == 3
    assert by_key(made) == by_key(at_one_moment(committed(other, shards)))


def test_a_name_is_that_of_an_object_of_its_run() -> None:
    names = [Name("bronze-b", run, number) for run in ("a", "b") for number in (1, 2)]
    assert len({name.object_id for name in names}) == 4
    assert len({key for name in names for key in name.keys}) == 12


def test_an_object_that_is_there_is_not_measured_twice() -> None:
    memory = MemoryDynamo()
    ledger = Ledger(memory, "ledger", 1)
    name = Name("bronze-b", "run", 1)
    grown_ledger.commit(ledger, name)
    with pytest.raises(SluiceError, match="knows"):
        grown_ledger.commit(ledger, name)


def test_the_cost_of_a_message_is_that_between_marks_with_enough_messages() -> None:
    spent = [(0.0, 100), (2.0, 90), (2.0, 89), (3.1, 80), (9.0, 0), (9.5, 0)]
    marks = [Mark(number, Usage(engine, 0.0), left) for number, (engine, left) in enumerate(spent)]
    assert grown_queue.costs(marks) == pytest.approx([200.0, 110.0, 73.75])


def runs(first_s: float, peak: int) -> grown_verbs.Run:
    return grown_verbs.Run(0, first_s, 9.0, 1.0, 2.0, peak)


def test_a_verb_meets_its_target_by_its_first_line() -> None:
    first, memory = grown._verb_figures("status", runs(0.5, 100_000_000), runs(0.9, 120_000_000))
    assert (first.value, first.met, memory.value) == (0.9, True, 120.0)
    assert "few objects: 0.50 s" in first.note
    late, _ = grown._verb_figures("status", runs(0.5, 1), runs(1.1, 1))
    assert late.met is False


@pytest.mark.parametrize(
    ("printed", "seen"),
    [(b"\x1b[?25l", False), (b"\x1b[1m\x1b[0m\r\n", False), (b"\x1b[2Klooking", True), (b"x", True)],
)
def test_what_steers_the_terminal_is_no_first_line(printed: bytes, seen: bool) -> None:
    assert grown_verbs.visible(printed) is seen


def test_a_verb_is_timed_from_its_first_sign_on_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it prints on stderr counts, too; its exit code and its own memory are known."""
    (tmp_path / "bin").mkdir()
    verb = tmp_path / "bin" / "sluice"
    verb.write_text("#!/bin/sh\nif [ -t 1 ]; then echo on a terminal >&2; fi\nread nothing\nexit 3\n")
    verb.chmod(0o755)
    monkeypatch.setattr(grown_verbs, "HOST_ENV", tmp_path)
    monkeypatch.setattr(grown_verbs, "ROOT", tmp_path)
    monkeypatch.setattr(grown_verbs, "_read", typing_return(grown_verbs._read))
    done = grown_verbs.run(Instance(tmp_path), ProcessId.of(1), ["x"])
    assert done.code == 3
    assert 0 < done.first_s < done.seconds
    assert done.peak > 100_000


def typing_return(read: Any) -> Any:
    """Reads what a verb prints and answers with the return key, which the verb waits for."""

    def reading(terminal: int) -> bytes:
        import os

        said: bytes = read(terminal)
        if b"on a terminal" in said:
            os.write(terminal, b"\n")
        return said

    return reading


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeStack:
    monkeypatch.setattr(paths, "CACHE_DIR", tmp_path)
    return FakeStack()


@pytest.mark.parametrize("objects", [6, 60])
def test_what_status_shows_of_a_count_costs_the_same_with_few_and_many_objects(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch, objects: int
) -> None:
    """Pages of the fake hold two items, so five read items are three calls, however many there are."""
    monkeypatch.setattr(duplicates, "LAST", 5)
    for number in range(objects):
        stack.ingested(f"bronze/shipments/{number}.jsonl", 1)
    duplicates.state_of(stack, committed=objects)  # type: ignore[arg-type]
    assert len(stack.dynamodb.calls) == 3


def test_sizes_are_a_hundredth_and_a_fifth_at_first() -> None:
    sizes = grown.Sizes()
    assert (sizes.small_objects, sizes.objects, sizes.messages) == (1_000, 100_000, 1_000_000)
    assert (sizes.small_mb, sizes.verify_mb) == (200, 1_000)
    assert (replace(sizes, objects=5).small_objects, replace(sizes, verify_mb=1).small_mb) == (1, 1)


def test_each_figure_is_of_the_group_that_the_tables_know() -> None:
    from sluice.commands.bench import TITLES

    figures: list[Figure] = grown._verb_figures("x", runs(1, 1), runs(1, 1))
    assert {figure.group for figure in figures} == {grown.GROUP}
    assert grown.GROUP in TITLES
