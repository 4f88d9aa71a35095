"""`sluice replay` without a stack: what it refuses, what a plan shows, and how an end becomes an exit code."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sluice import cli
from sluice.console import SluiceError
from sluice.pipeline import replay as replaying
from sluice.pipeline.replay import Execution, Plan, Replays
from sluice.pipeline.storage import AHEAD
from sluice_pipeline.replays.request import ENTRY_FIELDS, Request, entry_of
from tests.support.fakes import FakeStack

cli.register_verbs()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "nothing is chosen"),
        (["--prefix", "silver/x/"], "does not begin with bronze/"),
        (["--dataset", "flights", "--since", "soon"], "since 'soon'"),
        (["--show", "replay-x", "--dry-run"], "--show takes a name and nothing else"),
        (["--dataset", "flights", "--target", "moon"], "target 'moon' is not known"),
    ],
)
def test_wrong_use_ends_with_code_two_and_one_line(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["replay", *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert reason in said
    assert "\n" not in said


def test_a_request_without_id_is_todays() -> None:
    today = datetime.now(UTC).date().isoformat()
    assert replaying.request(prefix="bronze/").id in (today, datetime.now(UTC).date().isoformat())
    assert replaying.request(prefix="bronze/", id="mine").id == "mine"


def test_a_plan_counts_by_dataset_and_state() -> None:
    stack = FakeStack()
    ids = [stack.ingested(f"bronze/shipments/{n}.jsonl", 3, 1) for n in range(3)]
    stack.object_item(ids[1]).update(state="failed", chunk_count=0, rows_in=0, failed_reason="over_limit")
    entries = [entry_of(stack.object_item(name)) for name in ids]  # type: ignore[arg-type]
    made = Plan(Request.parse({"prefix": "bronze/"}))
    for entry in entries:
        made.add(entry)
    shown = made.to_dict()
    assert [entry["object_id"] for entry in made.left_out] == [ids[1]]
    assert (shown["objects"], shown["rows"], shown["left_out"]) == (3, 8, 1)
    assert shown["bytes"] == sum(entry["size"] for entry in entries)
    groups = [(g["state"], g["objects"], g["rows"], g["left_out"]) for g in shown["groups"]]
    assert groups == [("committed", 2, 8, 0), ("failed", 1, 0, 1)]


def test_a_plan_is_counted_as_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """So an operator sees that it goes on, and the memory does not grow with the objects: few are read ahead."""
    stack = FakeStack()
    for number in range(40):
        stack.ingested(f"bronze/shipments/{number}.jsonl", 3)
    monkeypatch.setattr(replaying, "_READ", 1)
    seen: list[tuple[int, int]] = []
    wanted = Request.parse({"prefix": "bronze/shipments/"})
    made = replaying.plan(stack, wanted, lambda done: seen.append((done, reads(stack))))  # type: ignore[arg-type]
    assert made.to_dict()["objects"] == 40
    assert [done for done, _ in seen] == list(range(1, 41))
    assert all(read - done <= AHEAD + 1 for done, read in seen)


def reads(stack: FakeStack) -> int:
    return stack.dynamodb.read


def test_what_a_plan_reads_is_what_an_entry_needs() -> None:
    item = dict.fromkeys((*ENTRY_FIELDS, "object_id"), "1") | {"origin": {"key": "k"}, "chunk_count": 0}
    del item["failed_reason"]  # only failed objects have it
    assert entry_of(item)["reason"].startswith("never planned (1)")  # type: ignore[arg-type]


def test_a_stack_without_the_workflow_says_how_to_get_it() -> None:
    with pytest.raises(SluiceError, match="ops_enabled = true") as error:
        Replays(FakeStack())  # type: ignore[arg-type]
    assert error.value.code == 1


RESULT = {
    "name": "replay-x",
    "datasets": {},
    "outcomes": {"committed": 1, "missing": 1},
    "before": {"rows_in": 5, "rows_silver": 5, "rows_quarantined": 0},
    "after": {"rows_in": 5, "rows_silver": 4, "rows_quarantined": 1},
    "problem_count": 1,
    "problems": [{"outcome": "missing", "key": "bronze/a", "reason": "version v1 is gone"}],
    "left_out": [],
}


@pytest.mark.parametrize(
    ("status", "result", "code", "said"),
    [
        ("SUCCEEDED", None, 0, ""),
        ("RUNNING", None, 0, "is running"),
        ("FAILED", RESULT, 1, "1 object needs an operator"),
        ("TIMED_OUT", None, 1, "it ended early"),
    ],
)
def test_how_a_replay_ended_is_the_exit_code(
    status: str,
    result: dict[str, Any] | None,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = Execution("replay-x", "arn", status, datetime.now(UTC), None, new=False, result=result)

    class Shown:
        def get(self, name: str) -> Execution:
            return found

    monkeypatch.setattr("sluice.pipeline.stack.choose", lambda _target, _env: None)
    monkeypatch.setattr(replaying, "Replays", lambda _stack: Shown())
    assert cli.run(["replay", "--show", "replay-x"]) == code
    printed = capsys.readouterr()
    assert said in printed.err
    if result:
        assert "5 -> 4" in printed.out
        assert "missing  bronze/a: version v1 is gone" in printed.err
