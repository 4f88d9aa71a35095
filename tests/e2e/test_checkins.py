"""Check-ins: a day's file is in silver, tested, and loaded once; whatever stops it is in the log and told."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import date, timedelta
from typing import Any

import pytest

from fixtures import checkins
from pipeline.checkin_runs import Log, Request, prefix_of
from pipeline.checkins import Checkins
from pipeline.row_pages import InvalidQuery
from pipeline.table import Table, plain
from sluice.branches import api_client
from sluice.branches.checkin_files import failed_rows, submit
from sluice.ops import replaying
from sluice.ops.replaying import Replays
from sluice.stack import Stack
from tests.e2e.call_record import calls_about
from tests.e2e.support import Pipeline, Put, until

RUNNING = "RUNNING"


@pytest.fixture(autouse=True)
def _deployed(pipe: Pipeline) -> None:
    if pipe.stack.outputs.get("checkins_table") is None:
        pytest.skip("checkin_enabled is off")


@pytest.fixture
def day() -> str:
    """A day of this test's own."""
    return (date(1900, 1, 1) + timedelta(days=random.randrange(36_000))).isoformat()


def deadline_seconds(stack: Stack) -> int:
    found = stack.client("lambda").get_function_configuration(FunctionName=stack["checkins_function"])
    return int(found["Environment"]["Variables"]["DEADLINE_SECONDS"])


@pytest.fixture(scope="module", autouse=True)
def unknown(stack: Stack) -> str | None:
    """A run of a file that nobody has, started before the other tests, for it waits for its deadline."""
    if stack.outputs.get("checkins_table") is None or deadline_seconds(stack) > 60:
        return None
    day = "2026-03-01"
    nobody = Request(day, "checkins", f"{prefix_of('checkins', day)}nothing.csv", uuid.uuid4().hex)
    stack.client("stepfunctions").start_execution(
        stateMachineArn=stack["checkins_state_machine_arn"], name=nobody.name, input=nobody.canonical
    )
    return nobody.name


def put(pipe: Pipeline, day: str, body: bytes, name: str = "checkins.csv") -> Put:
    """A file among those of a day."""
    return pipe.put_key(f"{prefix_of('checkins', day)}{pipe.run}-{name}", body)


def request(put: Put, day: str, **more: str) -> Request:
    return Request(day, "checkins", put.ref.key, put.object_id, **more)


def start(pipe: Pipeline, wanted: Request) -> str:
    """Starts a run as the executor does; its name."""
    pipe.stack.client("stepfunctions").start_execution(
        stateMachineArn=pipe.stack["checkins_state_machine_arn"], name=wanted.name, input=wanted.canonical
    )
    return wanted.name


def describe(pipe: Pipeline, name: str) -> dict[str, Any]:
    arn = pipe.stack["checkins_state_machine_arn"].replace(":stateMachine:", ":execution:")
    found: dict[str, Any] = pipe.stack.client("stepfunctions").describe_execution(executionArn=f"{arn}:{name}")
    return found


def ended(pipe: Pipeline, name: str) -> str:
    """The status of a run once it has ended."""
    until(f"the end of {name}", lambda: describe(pipe, name)["status"] != RUNNING)
    status: str = describe(pipe, name)["status"]
    return status


def run(pipe: Pipeline, put: Put, day: str, **more: str) -> tuple[str, str]:
    """Name and status of a run of a file."""
    name = start(pipe, request(put, day, **more))
    return name, ended(pipe, name)


def states(pipe: Pipeline, name: str) -> dict[str, dict[str, Any]]:
    """What the log says of a run, by state."""
    log = Log(pipe.dynamodb, pipe.stack["checkin_log_table"])
    return {item["state"]: item for item in log.states(name)}


def statuses(pipe: Pipeline, name: str) -> dict[str, str]:
    return {state: item["status"] for state, item in states(pipe, name).items()}


def everything(pipe: Pipeline) -> list[dict[str, Any]]:
    """All items of the table, whatever indexes say."""
    pages = pipe.dynamodb.get_paginator("scan").paginate(TableName=pipe.stack["checkins_table"])
    return [plain(item) for page in pages for item in page["Items"]]


def loaded(pipe: Pipeline, *prefixes: str) -> dict[str, dict[str, Any]]:
    """The items of this test, by check-in id."""
    wanted = prefixes or (pipe.run,)
    return {item["sk"]: item for item in everything(pipe) if item["sk"].startswith(wanted)}


def as_loaded(row: dict[str, Any]) -> dict[str, Any]:
    """What an item's row holds of a row that was sent."""
    at = f"{row['checked_in_at'].removesuffix('Z')}.000000Z"
    row = row | {"checked_in_at": at}
    return {name: float(value) if name in ("latitude", "longitude") else value for name, value in row.items() if value}


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A loaded row with its numbers as floats."""
    return {name: value if isinstance(value, str) else float(value) for name, value in row.items()}


def notices(pipe: Pipeline, name: str) -> list[dict[str, Any]]:
    """SNS notices about a run, their message attributes as ``attributes``."""
    found = []
    for envelope in pipe.mail.drain():
        if envelope.get("Type") == "Notification":
            body = json.loads(envelope["Message"])
            attributes = {key: value["Value"] for key, value in envelope.get("MessageAttributes", {}).items()}
            if body.get("run") == name:
                found.append(body | {"attributes": attributes})
    return found


def only_notice(pipe: Pipeline, name: str) -> dict[str, Any]:
    [notice] = until("the notice", lambda: notices(pipe, name))
    return notice


def test_a_days_file_is_transformed_tested_and_loaded(pipe: Pipeline, day: str) -> None:
    rows = checkins.records(pipe.run, 1, 150, day)
    file = put(pipe, day, checkins.as_csv(rows))
    done = submit(pipe.stack, {"day": day})
    [one] = done["submitted"]
    assert (one["name"], one["key"], one["new"]) == (f"checkin-{day}-{file.object_id}", file.ref.key, True)
    assert ended(pipe, one["name"]) == "SUCCEEDED"
    assert {sk: shown(item["row"]) for sk, item in loaded(pipe).items()} == {
        row["checkin_id"]: as_loaded(row) for row in rows
    }
    log = states(pipe, one["name"])
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
    notice = only_notice(pipe, one["name"])
    assert notice["attributes"] == {"dataset": "checkins", "severity": "info", "kind": "checkin.done"}
    assert (notice["state"], notice["reason"], notice["counts"]["written"]) == ("load", "", 150)
    pipe.verified(prefix_of("checkins", day))


def test_a_hard_test_that_fails_stops_the_run_and_nothing_is_loaded(pipe: Pipeline, day: str) -> None:
    rows = checkins.records(pipe.run, 2, 40, day)
    rows[3]["latitude"], rows[4]["venue"] = 90.5, None
    name, status = run(pipe, put(pipe, day, checkins.as_csv(rows)), day)
    assert (status, loaded(pipe)) == ("FAILED", {})
    assert statuses(pipe, name) == {"transform": "succeeded", "test": "failed"}
    test = states(pipe, name)["test"]
    assert test["error"] == "hard: latitude_on_earth (1 rows)"
    assert test["counts"] == {
        "rows": 40, "rows_good": 38, "rows_failed": 2, "tests": {"latitude_on_earth": 1, "has_a_venue": 1},
    }  # fmt: skip
    assert [(row["row"]["checkin_id"], row["tests"], row["hard"]) for row in failed_rows(pipe.stack, name)] == [
        (f"{pipe.run}-000003", ["latitude_on_earth"], True),
        (f"{pipe.run}-000004", ["has_a_venue"], False),
    ]
    notice = only_notice(pipe, name)
    assert notice["attributes"] == {"dataset": "checkins", "severity": "error", "kind": "checkin.failed"}
    assert (notice["state"], notice["reason"]) == ("test", test["error"])


def test_soft_tests_log_the_rows_that_fail_and_the_others_are_loaded(pipe: Pipeline, day: str) -> None:
    rows = checkins.records(pipe.run, 3, 40, day)
    rows[1]["venue"], rows[2]["source"] = "  ", "fax"
    rows[15] |= {"user_id": rows[5]["user_id"], "checked_in_at": rows[5]["checked_in_at"]}
    file = put(pipe, day, checkins.as_csv(rows))
    name, status = run(pipe, file, day)
    assert status == "SUCCEEDED"
    bad = {f"{pipe.run}-{number:06d}" for number in (1, 2, 15)}
    assert set(loaded(pipe)) == {row["checkin_id"] for row in rows} - bad
    assert {row["row"]["checkin_id"]: row["tests"] for row in failed_rows(pipe.stack, name)} == {
        f"{pipe.run}-000001": ["has_a_venue"],
        f"{pipe.run}-000002": ["known_source"],
        f"{pipe.run}-000015": ["one_place_at_a_time"],
    }
    assert states(pipe, name)["load"]["counts"] == {"rows_good": 37, "rows_failed": 3, "written": 37, "removed": 0}
    only_notice(pipe, name)
    # the whole run hard: the same file is stopped, and what was loaded stays
    before = loaded(pipe)
    strict, status = run(pipe, file, day, hard_testing="true", id="strict")
    assert (status, statuses(pipe, strict)["test"]) == ("FAILED", "failed")
    assert loaded(pipe) == before
    assert only_notice(pipe, strict)["reason"] == (
        "hard: has_a_venue (1 rows), known_source (1 rows), one_place_at_a_time (1 rows)"
    )


def test_a_users_check_ins_are_found_page_by_page(pipe: Pipeline, day: str) -> None:
    rows = checkins.records(pipe.run, 4, 60, day, users=3)
    run(pipe, put(pipe, day, checkins.as_csv(rows)), day)
    user = rows[0]["user_id"]
    reader = Checkins(pipe.dynamodb, pipe.stack["checkins_table"])
    begin, end = f"{day}T00:05:00Z", f"{day}T00:15:00Z"
    expected = [as_loaded(row) for row in rows if row["user_id"] == user and begin <= row["checked_in_at"] < end]
    assert len(expected) == 10
    found: list[dict[str, Any]] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        page = reader.of_user(user, begin, end, limit=4, cursor=cursor)
        found += map(shown, page.items)
        cursor, pages = page.cursor, pages + 1
    assert found == sorted(expected, key=lambda row: row["checked_in_at"], reverse=True)
    assert pages == 3


def test_a_file_is_submitted_once_and_a_changed_one_again(pipe: Pipeline, day: str) -> None:
    rows = checkins.records(pipe.run, 5, 20, day)
    put(pipe, day, checkins.as_csv(rows))
    [first] = submit(pipe.stack, {"day": day})["submitted"]
    [again] = submit(pipe.stack, {"day": day})["submitted"]  # while it runs, or just after
    assert (first["new"], again) == (True, first | {"new": False})
    assert ended(pipe, first["name"]) == "SUCCEEDED"
    put(pipe, day, checkins.as_csv(rows))  # the same bytes under the same key are the same file
    assert submit(pipe.stack, {"day": day})["submitted"] == [again]
    before = loaded(pipe)
    assert len(before) == 20
    changed = put(pipe, day, checkins.as_csv([row | {"venue": "elsewhere"} for row in rows]))
    [other] = submit(pipe.stack, {"day": day})["submitted"]
    assert (other["new"], other["name"]) == (True, f"checkin-{day}-{changed.object_id}")
    assert ended(pipe, other["name"]) == "SUCCEEDED"
    assert {item["row"]["venue"] for item in loaded(pipe).values()} == {"elsewhere"}
    [repeated] = submit(pipe.stack, {"day": day, "id": "again"})["submitted"]
    assert repeated["new"]
    before = loaded(pipe)
    assert ended(pipe, repeated["name"]) == "SUCCEEDED"
    assert loaded(pipe) == before  # a repeated run leaves the same items
    assert len(notices(pipe, first["name"])) == 1


def test_a_day_without_a_file_is_told_of_once(pipe: Pipeline, day: str) -> None:
    assert submit(pipe.stack, {"day": day}) == {"day": day, "submitted": [], "missing": ["checkins"]}
    assert submit(pipe.stack, {"day": day})["missing"] == ["checkins"]

    def told() -> list[dict[str, Any]]:
        envelopes = [envelope for envelope in pipe.mail.drain() if envelope.get("Type") == "Notification"]
        bodies = [json.loads(envelope["Message"]) for envelope in envelopes]
        return [body for body in bodies if body.get("kind") == "checkin.missing" and body["day"] == day]

    [notice] = until("the notice", told)
    assert notice["reason"] == f"no file lies under bronze/checkins/dt={day}/"
    [entry] = Log(pipe.dynamodb, pipe.stack["checkin_log_table"]).of_day(day)
    assert (entry["state"], entry["status"], entry["attempts"]) == ("submit", "missing", 2)
    # it comes late
    put(pipe, day, checkins.as_csv(checkins.records(pipe.run, 6, 3, day)))
    [one] = submit(pipe.stack, {"day": day})["submitted"]
    assert ended(pipe, one["name"]) == "SUCCEEDED"
    assert len(loaded(pipe)) == 3
    assert len(told()) == 1


def test_a_schedules_event_means_the_day_of_its_own_time(pipe: Pipeline, day: str) -> None:
    event = {"source": "aws.events", "detail-type": "Scheduled Event", "time": f"{day}T23:59:59Z"}
    assert submit(pipe.stack, event)["day"] == day  # days_back is 0


@pytest.mark.parametrize(
    ("body", "state", "reason"),
    [
        (b"", "test", "hard: at_least_one_row"),
        (b"\xff\xfe\x00 no text", "transform", "failed: "),
    ],
    ids=["empty", "unreadable"],
)
def test_a_file_without_rows_is_not_loaded(pipe: Pipeline, day: str, body: bytes, state: str, reason: str) -> None:
    file = put(pipe, day, body)
    name, status = run(pipe, file, day)
    assert (status, statuses(pipe, name)[state]) == ("FAILED", "failed")
    assert states(pipe, name)[state]["error"].startswith(reason)
    assert only_notice(pipe, name)["state"] == state
    if state == "transform":
        pipe.take_letters(file, output="ingest_dlq_url")


def test_a_request_that_makes_no_sense_fails_with_a_log_and_a_notice(pipe: Pipeline, day: str) -> None:
    """What the executor never sends, somebody may still start by hand."""
    name = f"checkin-{pipe.run}"
    pipe.stack.client("stepfunctions").start_execution(
        stateMachineArn=pipe.stack["checkins_state_machine_arn"], name=name, input=json.dumps({"day": day})
    )
    assert ended(pipe, name) == "FAILED"
    item = states(pipe, name)["transform"]
    assert (item["status"], item["day"]) == ("failed", day)
    assert item["error"].startswith("InvalidRequest: ")
    notice = only_notice(pipe, name)
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
def test_a_run_that_is_cut_short_is_told_of_and_its_log_is_closed(breakable: Pipeline, day: str, reason: str) -> None:
    pipe = breakable
    file = put(pipe, day, checkins.as_csv(checkins.records(pipe.run, 7, 5, day)))
    pipe.wait(file)
    # the first state has begun, and does not end; about this file, for a function of a run before may still be at work
    with pipe.fault("checkins", "dynamodb", "GetItem", "delay:6000", about=[file.object_id]):
        with a_second_for_all(pipe) if reason == "TIMED_OUT" else nullcontext():
            name = start(pipe, request(file, day))
            until("the state", pipe.fault_hits)
            if reason == "ABORTED":
                pipe.stack.client("stepfunctions").stop_execution(executionArn=describe(pipe, name)["executionArn"])
            assert ended(pipe, name) == reason
        notice = only_notice(pipe, name)
        until("the log", lambda: "started" not in statuses(pipe, name).values())
    # what EventBridge sends has no message attributes
    assert (notice["kind"], notice["reason"], notice["attributes"]) == ("checkin.failed", reason, {})
    assert notice["look"] == f"sluice checkins log {name}"
    state = states(pipe, name)["transform"]
    # a function that had ended before it was heard has had its say
    assert (state["status"], state.get("error")) in [
        ("failed", f"the run was cut short: {reason}"),
        *([("succeeded", None)] if reason == "ABORTED" else []),
    ]
    assert loaded(pipe) == {}


def test_older_runs_rows_go_when_a_file_is_replayed_or_its_rows_fail(pipe: Pipeline, day: str) -> None:
    rows = checkins.records(pipe.run, 8, 20, day)
    rows[3]["venue"] = None
    file = put(pipe, day, checkins.as_csv(rows))
    soft = request(file, day)
    start(pipe, soft)
    assert ended(pipe, soft.name) == "SUCCEEDED"
    before = loaded(pipe)
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
    start(pipe, again)
    assert ended(pipe, again.name) == "SUCCEEDED"
    after = loaded(pipe)
    assert {item["run_key"] for item in after.values()} == {"0000000002"}
    assert {sk: item | {"run_key": ""} for sk, item in after.items()} == {
        sk: item | {"run_key": ""} for sk, item in before.items()
    }
    assert states(pipe, again.name)["load"]["counts"]["removed"] == 2


def test_throttled_writes_are_tried_again(breakable: Pipeline, day: str) -> None:
    pipe = breakable
    rows = checkins.records(pipe.run, 9, 120, day)
    file = put(pipe, day, checkins.as_csv(rows))
    pipe.wait(file)
    with pipe.fault("checkins", "dynamodb", "TransactWriteItems", "error:ThrottlingException", times=2):
        name, status = run(pipe, file, day)
        assert pipe.fault_hits() == 2
    assert (status, len(loaded(pipe))) == ("SUCCEEDED", 120)
    assert states(pipe, name)["load"]["counts"]["written"] == 120


@pytest.mark.timeout(300)
def test_no_call_that_dies_loses_or_doubles_a_check_in(breakable: Pipeline, record_property: Any) -> None:
    """The first and the last call of each kind are killed before or after it, for a twin of the file."""
    pipe = breakable
    day = "1899-12-31"

    def body(name: str) -> bytes:
        rows = checkins.records(f"{pipe.run}-{name}", 10, 110, day)  # two transactions
        rows[7]["venue"] = None
        return checkins.as_csv(rows)

    def outcome(name: str, execution: str) -> dict[str, Any]:
        log = states(pipe, execution)
        return {
            "rows": sorted(sk.removeprefix(f"{pipe.run}-{name}") for sk in loaded(pipe, f"{pipe.run}-{name}-")),
            "log": {state: item["status"] for state, item in log.items()},
            "test": log["test"]["counts"],
            "loaded": {part: log["load"]["counts"][part] for part in ("rows_good", "rows_failed", "removed")},
            "failed": [row["tests"] for row in failed_rows(pipe.stack, execution)],
            "notices": len(until("the notice", lambda: notices(pipe, execution))),
        }

    calm = put(pipe, day, body("calm"), "calm.csv")
    pipe.wait(calm)
    function = pipe.stack["checkins_function"]
    with calls_about(pipe, [f"{pipe.run}-calm", calm.object_id], "checkins") as made:
        name, status = run(pipe, calm, day)
    expected = outcome("calm", name)
    assert (status, len(expected["rows"]), expected["failed"]) == ("SUCCEEDED", 109, [["has_a_venue"]])
    points = [
        (service, operation, nth, ("kill-before", "kill-after")[nth % 2])
        for (_, service, operation), count in sorted(made.items())
        for nth in sorted({1, count})  # in the first state that makes this call, and in the last
    ]
    points += [("lambda", "Return", nth, "kill-after") for nth in (1, 2, 3)]
    assert len(points) > 12
    twins: dict[str, tuple[dict[str, Any], Request]] = {}
    files = {f"t{number:03d}": point for number, point in enumerate(points)}
    puts = {twin: put(pipe, day, body(twin), f"{twin}.csv") for twin in files}
    pipe.wait(*puts.values())
    for twin, (service, operation, nth, mode) in files.items():
        fault = {"function": function, "service": service, "operation": operation, "nth": nth, "action": mode}
        pipe.set_fault(fault | {"about": [f"{pipe.run}-{twin}", puts[twin].object_id]})
        twins[twin] = (fault, request(puts[twin], day))
        start(pipe, twins[twin][1])
    lost = []
    for twin, (fault, wanted) in twins.items():
        if ended(pipe, wanted.name) != "SUCCEEDED" or outcome(twin, wanted.name) != expected:
            lost.append(fault)
    unmet = pipe.unmet_faults()
    pipe.clear_faults()
    record_property("figure", f"check-in crash sweep: {len(points)} points, {len(points) - len(lost)} survived")
    assert lost == []
    assert unmet == []


def test_a_cursor_of_another_question_is_refused(pipe: Pipeline, day: str) -> None:
    rows = checkins.records(pipe.run, 11, 6, day, users=2)
    run(pipe, put(pipe, day, checkins.as_csv(rows)), day)
    reader = Checkins(pipe.dynamodb, pipe.stack["checkins_table"])
    page = reader.of_user(rows[0]["user_id"], limit=2)
    assert (len(page.items), bool(page.cursor)) == (2, True)
    with pytest.raises(InvalidQuery, match="none of this query"):
        reader.of_user(rows[1]["user_id"], limit=2, cursor=page.cursor)
    for wrong in ("!", "bm90IGpzb24", page.cursor[:-3]):
        with pytest.raises(InvalidQuery):
            reader.of_user(rows[0]["user_id"], limit=2, cursor=wrong)
    for limit in (0, 1001):
        with pytest.raises(InvalidQuery, match="limit"):
            reader.of_user(rows[0]["user_id"], limit=limit)


def test_the_api_answers_with_a_users_check_ins(pipe: Pipeline, day: str) -> None:
    if pipe.stack.outputs.get("api_id") is None:
        pytest.skip("api_enabled is off")
    rows = checkins.records(pipe.run, 12, 12, day, users=2)
    run(pipe, put(pipe, day, checkins.as_csv(rows)), day)
    url, user = api_client.base_url(pipe.stack), rows[0]["user_id"]
    client = api_client.Client(url, api_client.key_of(pipe.stack))
    found: list[dict[str, Any]] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        question = {"user": user, "from": day, "limit": "4", "cursor": cursor}
        answer = client.get("/checkins", **question)
        assert answer.status == 200
        found += map(shown, answer.body["data"])
        cursor, pages = answer.body["metadata"]["cursor"], pages + 1
    expected = [as_loaded(row) for row in rows if row["user_id"] == user]
    assert found == sorted(expected, key=lambda row: row["checked_in_at"], reverse=True)
    assert pages == 2
    for wrong in ({"user": ""}, {"limit": "0"}, {"from": "soon"}, {"cursor": "x"}, {"user": ["a", "b"]}, {"who": "x"}):
        refused = client.get("/checkins", **({"user": user} | wrong))
        assert (refused.status, refused.body["error"]["type"]) == (400, "InvalidRequest")
    assert api_client.Client(url, None).get("/checkins", user=user).status == 403


def test_a_file_that_the_ledger_does_not_know_fails_at_the_deadline(pipe: Pipeline, unknown: str) -> None:
    deadline = deadline_seconds(pipe.stack)
    if deadline > 60:
        pytest.skip(f"the running stack waits {deadline} s; `make e2e` deploys one that does not")
    assert ended(pipe, unknown) == "FAILED"
    item = states(pipe, unknown)["transform"]
    assert item["status"] == "failed"
    assert item["error"] == f"not in silver after {deadline} s: the ledger does not know it"
    assert item["attempts"] > 1
    notice = only_notice(pipe, unknown)
    assert (notice["state"], notice["reason"]) == ("transform", item["error"])
