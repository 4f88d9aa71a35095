"""Check-ins: a day's file is in silver, tested, and loaded once; whatever stops it is in the log and notified."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import date, timedelta
from functools import partial

import pytest

from checkins.request import Request, prefix_of
from checkins.rows import Checkins
from checkins.run_log import Log
from fixtures import checkins
from sluice.branches.api import client as api_client
from sluice.branches.checkins.reader import failed_rows, submit
from sluice.pipeline import replay as replaying
from sluice.pipeline.replay import Replays
from sluice.pipeline.stack import Stack
from sluice_pipeline.dynamo.pages import InvalidQuery, Page
from sluice_pipeline.dynamo.table import Table
from tests.support.checkins import CheckinRuns, as_loaded, request, shown
from tests.support.paging import all_pages, assert_cursors_are_checked
from tests.support.pipeline import Pipeline, until

pytestmark = pytest.mark.usefixtures("checkins_deployed")


@pytest.fixture
def runs(pipe: Pipeline) -> CheckinRuns:
    return CheckinRuns(pipe)


@pytest.fixture
def day() -> str:
    """A day of this test's own."""
    return (date(1900, 1, 1) + timedelta(days=random.randrange(36_000))).isoformat()


def deadline_seconds(stack: Stack) -> int:
    found = stack.client("lambda").get_function_configuration(FunctionName=stack["checkins_function"])
    return int(found["Environment"]["Variables"]["DEADLINE_SECONDS"])


@pytest.fixture(scope="module", autouse=True)
def unknown(stack: Stack) -> str | None:
    """A run of a file that does not exist, started before the other tests, for it waits for its deadline."""
    if stack.outputs.get("checkins_table") is None or deadline_seconds(stack) > 60:
        return None
    day = "2026-03-01"
    absent = Request(day, "checkins", f"{prefix_of('checkins', day)}nothing.csv", uuid.uuid4().hex)
    stack.client("stepfunctions").start_execution(
        stateMachineArn=stack["checkins_state_machine_arn"], name=absent.name, input=absent.canonical
    )
    return absent.name


def test_a_days_file_is_transformed_tested_and_loaded(pipe: Pipeline, runs: CheckinRuns, day: str) -> None:
    rows = checkins.records(pipe.run, 1, 150, day)
    file = runs.put(day, checkins.as_csv(rows))
    done = submit(pipe.stack, {"day": day})
    [one] = done["submitted"]
    assert (one["name"], one["key"], one["new"]) == (f"checkin-{day}-{file.object_id}", file.ref.key, True)
    assert runs.ended(one["name"]) == "SUCCEEDED"
    assert {sk: shown(item["row"]) for sk, item in runs.loaded().items()} == {
        row["checkin_id"]: as_loaded(row) for row in rows
    }
    log = runs.states(one["name"])
    assert list(log) == ["submit", "transform", "test", "load"]
    assert {item.get("ingestedTable") for item in log.values()} == {None, pipe.stack["checkins_table"]}
    for item in log.values():
        assert (item["status"], item["day"], item["source"]) == ("succeeded", day, file.ref.key)
        assert item["ingestedID"] == file.object_id
        assert item["startedAt"] <= item["endedAt"]
        assert "error" not in item
    assert log["transform"]["counts"] == {"rows_in": 150, "rows_silver": 150, "rows_quarantined": 0}
    assert log["test"]["counts"] == {"rows": 150, "rows_good": 150, "rows_failed": 0, "tests": {}}
    assert log["load"]["counts"] == {"rows_good": 150, "rows_failed": 0, "written": 150, "removed": 0}
    notice = runs.only_notice(one["name"])
    assert notice["attributes"] == {"dataset": "checkins", "severity": "info", "kind": "checkin.done"}
    assert (notice["state"], notice["reason"], notice["counts"]["written"]) == ("load", "", 150)
    pipe.verified(prefix_of("checkins", day))


def test_a_hard_expectation_that_fails_stops_the_run_and_nothing_is_loaded(
    pipe: Pipeline, runs: CheckinRuns, day: str, quality_deployed: None
) -> None:
    rows = checkins.records(pipe.run, 2, 40, day)
    rows[3]["latitude"], rows[4]["venue"] = 90.5, None
    file = runs.put(day, checkins.as_csv(rows))
    name, status = runs.run(file, day)
    assert (status, runs.loaded()) == ("FAILED", {})
    assert runs.statuses(name) == {"transform": "failed"}
    error = runs.states(name)["transform"]["error"]
    assert error == "withheld: latitude_on_earth: 1 of 40 rows"
    notice = runs.only_notice(name)
    assert notice["attributes"] == {"dataset": "checkins", "severity": "error", "kind": "checkin.failed"}
    assert (notice["state"], notice["reason"]) == ("transform", error)
    about = {"kind": "quality.withheld", "object_id": file.object_id}
    [withheld] = until("the gate's notice", lambda: pipe.mail.notices(**about))
    [broken] = [one for one in withheld["expectations"] if one["hard"]]
    assert (broken["name"], broken["failed"], [one["value"] for one in broken["samples"]]) == (
        "latitude_on_earth", 1, ["90.5"],
    )  # fmt: skip


def test_soft_tests_log_the_rows_that_fail_and_the_others_are_loaded(
    pipe: Pipeline, runs: CheckinRuns, day: str
) -> None:
    rows = checkins.records(pipe.run, 3, 40, day)
    rows[1]["venue"], rows[2]["source"] = "  ", "fax"
    rows[15] |= {"user_id": rows[5]["user_id"], "checked_in_at": rows[5]["checked_in_at"]}
    file = runs.put(day, checkins.as_csv(rows))
    name, status = runs.run(file, day)
    assert status == "SUCCEEDED"
    bad = {f"{pipe.run}-{number:06d}" for number in (1, 2, 15)}
    assert set(runs.loaded()) == {row["checkin_id"] for row in rows} - bad
    assert {row["row"]["checkin_id"]: row["tests"] for row in failed_rows(pipe.stack, name)} == {
        f"{pipe.run}-000001": ["has_a_venue"],
        f"{pipe.run}-000002": ["known_source"],
        f"{pipe.run}-000015": ["one_place_at_a_time"],
    }
    assert runs.states(name)["load"]["counts"] == {"rows_good": 37, "rows_failed": 3, "written": 37, "removed": 0}
    runs.only_notice(name)
    # the whole run hard: the same file is stopped, and what was loaded stays
    before = runs.loaded()
    strict, status = runs.run(file, day, hard_testing="true", id="strict")
    assert (status, runs.statuses(strict)["test"]) == ("FAILED", "failed")
    assert runs.loaded() == before
    assert runs.only_notice(strict)["reason"] == (
        "hard: has_a_venue (1 rows), known_source (1 rows), one_place_at_a_time (1 rows)"
    )


def test_a_users_check_ins_are_found_page_by_page(pipe: Pipeline, runs: CheckinRuns, day: str) -> None:
    rows = checkins.records(pipe.run, 4, 60, day, users=3)
    runs.run(runs.put(day, checkins.as_csv(rows)), day)
    user = rows[0]["user_id"]
    reader = Checkins(pipe.dynamodb, pipe.stack["checkins_table"])
    begin, end = f"{day}T00:05:00Z", f"{day}T00:15:00Z"
    expected = [as_loaded(row) for row in rows if row["user_id"] == user and begin <= row["checked_in_at"] < end]
    assert len(expected) == 10
    found, pages = all_pages(partial(reader.of_user, user, begin, end, limit=4))
    assert list(map(shown, found)) == sorted(expected, key=lambda row: row["checked_in_at"], reverse=True)
    assert pages == 3


def test_a_file_is_submitted_once_and_a_changed_one_again(pipe: Pipeline, runs: CheckinRuns, day: str) -> None:
    rows = checkins.records(pipe.run, 5, 20, day)
    runs.put(day, checkins.as_csv(rows))
    [first] = submit(pipe.stack, {"day": day})["submitted"]
    [again] = submit(pipe.stack, {"day": day})["submitted"]  # while it runs, or just after
    assert (first["new"], again) == (True, first | {"new": False})
    assert runs.ended(first["name"]) == "SUCCEEDED"
    runs.put(day, checkins.as_csv(rows))  # the same bytes under the same key are the same file
    assert submit(pipe.stack, {"day": day})["submitted"] == [again]
    before = runs.loaded()
    assert len(before) == 20
    changed = runs.put(day, checkins.as_csv([row | {"venue": "elsewhere"} for row in rows]))
    [other] = submit(pipe.stack, {"day": day})["submitted"]
    assert (other["new"], other["name"]) == (True, f"checkin-{day}-{changed.object_id}")
    assert runs.ended(other["name"]) == "SUCCEEDED"
    assert {item["row"]["venue"] for item in runs.loaded().values()} == {"elsewhere"}
    [repeated] = submit(pipe.stack, {"day": day, "id": "again"})["submitted"]
    assert repeated["new"]
    before = runs.loaded()
    assert runs.ended(repeated["name"]) == "SUCCEEDED"
    assert runs.loaded() == before  # a repeated run leaves the same items
    assert len(runs.notices(first["name"])) == 1


def test_a_day_without_a_file_is_notified_once(pipe: Pipeline, runs: CheckinRuns, day: str) -> None:
    assert submit(pipe.stack, {"day": day}) == {"day": day, "submitted": [], "missing": ["checkins"]}
    assert submit(pipe.stack, {"day": day})["missing"] == ["checkins"]
    [notice] = until("the notice", lambda: pipe.mail.notices(kind="checkin.missing", day=day))
    assert notice["reason"] == f"no file is under bronze/checkins/dt={day}/"
    [entry] = Log(pipe.dynamodb, pipe.stack["checkin_log_table"]).of_day(day)
    assert (entry["state"], entry["status"], entry["attempts"]) == ("submit", "missing", 2)
    # it comes late
    runs.put(day, checkins.as_csv(checkins.records(pipe.run, 6, 3, day)))
    [one] = submit(pipe.stack, {"day": day})["submitted"]
    assert runs.ended(one["name"]) == "SUCCEEDED"
    assert len(runs.loaded()) == 3
    assert len(pipe.mail.notices(kind="checkin.missing", day=day)) == 1


def test_a_schedules_event_means_the_day_of_its_own_time(pipe: Pipeline, day: str) -> None:
    event = {"source": "aws.events", "detail-type": "Scheduled Event", "time": f"{day}T23:59:59Z"}
    assert submit(pipe.stack, event)["day"] == day  # days_back is 0


@pytest.mark.parametrize(
    ("body", "state", "reason"),
    [
        (b"", "transform", "withheld: at_least_one_row: 0 rows"),
        (b"\xff\xfe\x00 no text", "transform", "failed: "),
    ],
    ids=["empty", "unreadable"],
)
def test_a_file_without_rows_is_not_loaded(
    pipe: Pipeline, runs: CheckinRuns, day: str, body: bytes, state: str, reason: str
) -> None:
    file = runs.put(day, body)
    name, status = runs.run(file, day)
    assert (status, runs.statuses(name)[state]) == ("FAILED", "failed")
    assert runs.states(name)[state]["error"].startswith(reason)
    assert runs.only_notice(name)["state"] == state
    if body:
        until("the dead-letter message", lambda: pipe.depth("chunk_dlq_url"))
        assert pipe.receive_messages_about(file) == [file]


def test_a_request_that_makes_no_sense_fails_with_a_log_and_a_notice(
    pipe: Pipeline, runs: CheckinRuns, day: str
) -> None:
    """What the executor never sends, an operator may still start by hand."""
    name = f"checkin-{pipe.run}"
    pipe.stack.client("stepfunctions").start_execution(
        stateMachineArn=pipe.stack["checkins_state_machine_arn"], name=name, input=json.dumps({"day": day})
    )
    assert runs.ended(name) == "FAILED"
    item = runs.states(name)["transform"]
    assert (item["status"], item["day"]) == ("failed", day)
    assert item["error"].startswith("InvalidRequest: ")
    notice = runs.only_notice(name)
    assert notice["attributes"] == {"dataset": "*", "severity": "error", "kind": "checkin.failed"}
    assert (notice["state"], notice["reason"]) == ("transform", "InvalidRequest")
    assert "object_id 'unknown' is not 32 hexadecimal digits" in notice["detail"]


@contextmanager
def a_second_for_all(pipe: Pipeline) -> Iterator[None]:
    """The workflow has hardly any time while the block runs."""
    client, arn = pipe.stack.client("stepfunctions"), pipe.stack["checkins_state_machine_arn"]
    definition = client.describe_state_machine(stateMachineArn=arn)["definition"]
    short = json.dumps(json.loads(definition) | {"TimeoutSeconds": 1})
    client.update_state_machine(stateMachineArn=arn, definition=short)
    try:
        yield
    finally:
        client.update_state_machine(stateMachineArn=arn, definition=definition)


@pytest.mark.parametrize("reason", ["ABORTED", "TIMED_OUT"])
def test_a_run_that_is_aborted_or_times_out_is_notified_and_its_log_is_closed(
    breakable: Pipeline, runs: CheckinRuns, day: str, reason: str
) -> None:
    pipe = breakable
    file = runs.put(day, checkins.as_csv(checkins.records(pipe.run, 7, 5, day)))
    pipe.wait(file)
    # the first state has begun, and does not end; about this file, for a function of a run before may still be at work
    with pipe.fault("checkins", "dynamodb", "GetItem", "delay:6000", about=[file.object_id]):
        with a_second_for_all(pipe) if reason == "TIMED_OUT" else nullcontext():
            name = runs.start(request(file, day))
            until("the state", pipe.fault_hits)
            if reason == "ABORTED":
                pipe.stack.client("stepfunctions").stop_execution(executionArn=runs.describe(name)["executionArn"])
            assert runs.ended(name) == reason
        notice = runs.only_notice(name)
        until("the log", lambda: "started" not in runs.statuses(name).values())
    # what EventBridge sends has no message attributes
    assert (notice["kind"], notice["reason"], notice["attributes"]) == ("checkin.failed", reason, {})
    assert notice["look"] == f"sluice checkins log {name}"
    state = runs.states(name)["transform"]
    # a function that had ended before the event came has written its own end
    assert (state["status"], state.get("error")) in [
        ("failed", f"the run was aborted or timed out: {reason}"),
        *([("succeeded", None)] if reason == "ABORTED" else []),
    ]
    assert runs.loaded() == {}


def test_older_runs_rows_go_when_a_file_is_replayed_or_its_rows_fail(
    pipe: Pipeline, runs: CheckinRuns, day: str
) -> None:
    rows = checkins.records(pipe.run, 8, 20, day)
    rows[3]["venue"] = None
    file = runs.put(day, checkins.as_csv(rows))
    soft = request(file, day)
    runs.start(soft)
    assert runs.ended(soft.name) == "SUCCEEDED"
    before = runs.loaded()
    assert len(before) == 19
    # as if the test had let a row through, and an older run had had one that is gone
    table = Table(pipe.dynamodb, pipe.stack["checkins_table"])
    [failed] = failed_rows(pipe.stack, soft.name)
    bad, gone = f"{pipe.run}-000003", f"{pipe.run}-gone"
    version = before[f"{pipe.run}-000000"]["row_version"].split("|")
    at = f"{rows[3]['checked_in_at'].removesuffix('Z')}.000000Z"
    item = before[f"{pipe.run}-000000"] | {"row": {}, "user_key": "checkins#x"}
    table.put_all(
        [
            item
            | {
                "pk": f"row#checkins#{bad}",
                "sk": bad,
                "row_version": "|".join([at, *version[1:3], f"{failed['offset']:016d}"]),
            },
            item | {"pk": f"row#checkins#{gone}", "sk": gone},
        ]
    )
    replays = Replays(pipe.stack)
    wanted = replaying.request(object_id=file.object_id, id=pipe.run)
    assert replays.follow(replays.start(wanted), lambda _done, _total: None).ok
    again = request(file, day, id="again")
    runs.start(again)
    assert runs.ended(again.name) == "SUCCEEDED"
    after = runs.loaded()
    assert {item["run_key"] for item in after.values()} == {"0000000002"}
    assert {sk: item | {"run_key": ""} for sk, item in after.items()} == {
        sk: item | {"run_key": ""} for sk, item in before.items()
    }
    assert runs.states(again.name)["load"]["counts"]["removed"] == 2


def test_throttled_writes_are_tried_again(breakable: Pipeline, runs: CheckinRuns, day: str) -> None:
    pipe = breakable
    rows = checkins.records(pipe.run, 9, 120, day)
    file = runs.put(day, checkins.as_csv(rows))
    pipe.wait(file)
    with pipe.fault("checkins", "dynamodb", "TransactWriteItems", "error:ThrottlingException", times=2):
        name, status = runs.run(file, day)
        assert pipe.fault_hits() == 2
    assert (status, len(runs.loaded())) == ("SUCCEEDED", 120)
    assert runs.states(name)["load"]["counts"]["written"] == 120


def test_a_cursor_of_another_question_is_refused(pipe: Pipeline, runs: CheckinRuns, day: str) -> None:
    rows = checkins.records(pipe.run, 11, 6, day, users=2)
    runs.run(runs.put(day, checkins.as_csv(rows)), day)
    reader = Checkins(pipe.dynamodb, pipe.stack["checkins_table"])
    assert_cursors_are_checked(*(partial(reader.of_user, row["user_id"]) for row in rows[:2]))
    for limit in (0, 1001):
        with pytest.raises(InvalidQuery, match="limit"):
            reader.of_user(rows[0]["user_id"], limit=limit)


def test_the_api_answers_with_a_users_check_ins(pipe: Pipeline, runs: CheckinRuns, day: str) -> None:
    if pipe.stack.outputs.get("api_id") is None:
        pytest.skip("api_enabled is off")
    rows = checkins.records(pipe.run, 12, 12, day, users=2)
    runs.run(runs.put(day, checkins.as_csv(rows)), day)
    url, user = api_client.base_url(pipe.stack), rows[0]["user_id"]
    client = api_client.Client(url, api_client.key_of(pipe.stack))

    def page(*, cursor: str) -> Page:
        answer = client.get("/checkins", **{"user": user, "from": day, "limit": "4", "cursor": cursor})
        assert answer.status == 200
        return Page(answer.body["data"], answer.body["metadata"]["cursor"])

    found, pages = all_pages(page)
    expected = [as_loaded(row) for row in rows if row["user_id"] == user]
    assert list(map(shown, found)) == sorted(expected, key=lambda row: row["checked_in_at"], reverse=True)
    assert pages == 2
    for wrong in ({"user": ""}, {"limit": "0"}, {"from": "soon"}, {"cursor": "x"}, {"user": ["a", "b"]}, {"who": "x"}):
        refused = client.get("/checkins", **({"user": user} | wrong))
        assert (refused.status, refused.body["error"]["type"]) == (400, "InvalidRequest")
    assert api_client.Client(url, None).get("/checkins", user=user).status == 403


def test_a_file_that_the_ledger_does_not_know_fails_at_the_deadline(
    pipe: Pipeline, runs: CheckinRuns, unknown: str
) -> None:
    deadline = deadline_seconds(pipe.stack)
    if deadline > 60:
        pytest.skip(f"the running stack waits {deadline} s; `make e2e` deploys one that does not")
    assert runs.ended(unknown) == "FAILED"
    item = runs.states(unknown)["transform"]
    assert item["status"] == "failed"
    assert item["error"] == f"not in silver after {deadline} s: the ledger does not know it"
    assert item["attempts"] > 1
    notice = runs.only_notice(unknown)
    assert (notice["state"], notice["reason"]) == ("transform", item["error"])
