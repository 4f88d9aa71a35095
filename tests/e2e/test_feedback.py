"""Feedback: every row that silver takes is found by customer and by date, once, in its newest version."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures import feedback
from pipeline.committed import event_of
from pipeline.feedback import ALERT_SK, FeedbackRows, alert_pk
from pipeline.row_pages import InvalidQuery
from pipeline.table import Table, plain
from sluice.ops import replaying
from sluice.ops.replaying import Replays
from tests.e2e.call_record import calls_about
from tests.e2e.support import Pipeline, Put, until

CHECKS = ("rating_out_of_range", "empty_text", "burst")
RETURN = ("lambda", "Return")


@pytest.fixture(autouse=True)
def _deployed(pipe: Pipeline) -> None:
    if pipe.stack.outputs.get("feedback_table") is None:
        pytest.skip("feedback_enabled is off")


def table(pipe: Pipeline) -> Table:
    return Table(pipe.dynamodb, pipe.stack["feedback_table"])


def reader(pipe: Pipeline) -> FeedbackRows:
    return FeedbackRows(pipe.dynamodb, pipe.stack["feedback_table"])


def counted(pipe: Pipeline, put: Put, run: int = 1) -> dict[str, Any]:
    """What the branch has counted of the object's run, once it has."""

    def look() -> dict[str, Any] | None:
        item = table(pipe).get(f"object#{put.object_id}", "object")
        return item if item and int(item["counted_run"]) == run else None

    return until(f"feedback of {put.ref.key}", look)


def everything(pipe: Pipeline) -> list[dict[str, Any]]:
    """All feedback items of the table, whatever indexes say."""
    pages = pipe.dynamodb.get_paginator("scan").paginate(
        TableName=pipe.stack["feedback_table"], FilterExpression="attribute_exists(customer_key)"
    )
    return [plain(item) for page in pages for item in page["Items"]]


def stored(pipe: Pipeline, *puts: Put) -> dict[str, dict[str, Any]]:
    """The items that came from these objects, by feedback id."""
    wanted = {put.object_id for put in puts}
    return {item["row"]["feedback_id"]: item for item in everything(pipe) if item["object_id"] in wanted}


def as_stored(row: dict[str, Any]) -> dict[str, Any]:
    """What an item's row holds of a row that was sent."""
    at = f"{row['created_at'].removesuffix('Z')}.000000Z"
    return {name: value for name, value in (row | {"created_at": at}).items() if value is not None}


def announce(pipe: Pipeline, put: Put, run: int = 1) -> None:
    """Sends the object's event to the branch once more."""
    body = json.dumps(event_of(put.object_id, run, "feedback"))
    pipe.sqs.send_message(QueueUrl=pipe.stack["feedback_queue_url"], MessageBody=body)


def idle(pipe: Pipeline) -> None:
    until("an empty queue", lambda: pipe.depth("feedback_queue_url") == 0)


def anomaly_notices(pipe: Pipeline) -> list[dict[str, Any]]:
    """Notices about anomalies whose samples are this test's."""
    envelopes = [envelope for envelope in pipe.mail.drain() if envelope.get("Type") == "Notification"]
    bodies = [json.loads(envelope["Message"]) for envelope in envelopes]
    mine = [body for body in bodies if body.get("kind") == "feedback.anomaly"]
    return [body for body in mine if any(pipe.run in sample for sample in body["samples"])]


def forget_alerts(pipe: Pipeline) -> None:
    """As if nobody had been told of anything yet: the quiet time of another test is over."""
    for check in CHECKS:
        key = {"pk": {"S": alert_pk("feedback", check)}, "sk": {"S": ALERT_SK}}
        pipe.dynamodb.delete_item(TableName=pipe.stack["feedback_table"], Key=key)


def metric(pipe: Pipeline, name: str) -> dict[str, Any]:
    """Sum, count and unit of a metric of the branch for the dataset, since the stack began."""
    answer = pipe.stack.client("cloudwatch").get_metric_statistics(
        Namespace=pipe.stack["feedback_function"].removesuffix("-feedback"),
        MetricName=name,
        Dimensions=[{"Name": "service", "Value": "feedback"}, {"Name": "dataset", "Value": "feedback"}],
        StartTime=datetime.now(UTC) - timedelta(hours=12),
        EndTime=datetime.now(UTC) + timedelta(minutes=5),
        Period=86_400,
        Statistics=["Sum", "SampleCount"],
    )
    points = answer["Datapoints"]
    return {
        "sum": sum(point["Sum"] for point in points),
        "count": sum(point["SampleCount"] for point in points),
        "units": {point["Unit"] for point in points},
    }


def test_csv_and_json_are_found_by_customer_and_by_date(pipe: Pipeline) -> None:
    before = {name: metric(pipe, name) for name in ("ProcessedItemCount", "ProcessingErrors", "ETLLatency")}
    begin = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=int(pipe.run, 16) % 9000)  # of this test alone
    rows = feedback.records(pipe.run, 1, 300, begin=begin)
    # neither bad row is feedback: core quarantines them, the branch never sees them
    bad = [rows[0] | {"feedback_id": None}, rows[1] | {"channel": "pigeon"}]
    first = pipe.put("feedback", feedback.as_csv([*rows[:150], *bad]), "rows.csv")
    second = pipe.put("feedback", feedback.as_jsonl(rows[150:]), "rows.jsonl")
    assert [counted(pipe, put)["rows"] for put in (first, second)] == [150, 150]
    assert [row["reason"] for row in pipe.quarantined(first)] == ["missing_required", "not_allowed"]
    items = stored(pipe, first, second)
    assert {name: item["row"] for name, item in items.items()} == {row["feedback_id"]: as_stored(row) for row in rows}

    customer = rows[7]["customer_id"]
    expected = [as_stored(row) for row in rows if row["customer_id"] == customer]
    expected.sort(key=lambda row: (row["created_at"], row["feedback_id"]), reverse=True)
    found: list[dict[str, Any]] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        page = reader(pipe).of_customer(customer, limit=4, cursor=cursor)
        found += page.items
        cursor, pages = page.cursor, pages + 1
    assert [{name: value for name, value in row.items() if name[0] != "_"} for row in found] == expected
    assert pages >= 2
    assert {row["_source_key"] for row in found} == {first.ref.key, second.ref.key}

    days: Counter[str] = Counter()
    for day in (f"{begin + timedelta(days=number):%Y-%m-%d}" for number in range(4)):
        page = reader(pipe).of_day(day, limit=1000)
        assert page.cursor == ""
        days[day] = sum(row["feedback_id"].startswith(pipe.run) for row in page.items)
    assert +days == Counter(row["created_at"][:10] for row in rows)

    def published() -> bool:
        return metric(pipe, "ProcessedItemCount")["sum"] >= before["ProcessedItemCount"]["sum"] + 300

    until("the metrics", published)
    assert metric(pipe, "ProcessedItemCount")["sum"] == before["ProcessedItemCount"]["sum"] + 300
    assert metric(pipe, "ProcessingErrors")["sum"] == before["ProcessingErrors"]["sum"]
    latency = metric(pipe, "ETLLatency")
    assert latency["count"] == before["ETLLatency"]["count"] + 2
    assert latency["units"] == {"Milliseconds"}
    pipe.verified(pipe.key("feedback", ""))


def test_a_cursor_of_another_query_is_refused(pipe: Pipeline) -> None:
    rows = [row | {"customer_id": f"{pipe.run}-one"} for row in feedback.records(pipe.run, 2, 3)]
    counted(pipe, pipe.put("feedback", feedback.as_csv(rows), "rows.csv"))
    page = reader(pipe).of_customer(f"{pipe.run}-one", limit=2)
    assert (len(page.items), bool(page.cursor)) == (2, True)
    with pytest.raises(InvalidQuery, match="none of this query"):
        reader(pipe).of_customer(f"{pipe.run}-two", limit=2, cursor=page.cursor)
    for wrong in ("!", "bm90IGpzb24", page.cursor[:-3]):
        with pytest.raises(InvalidQuery):
            reader(pipe).of_customer(f"{pipe.run}-one", limit=2, cursor=wrong)


def test_delivered_twice_and_replayed_nothing_changes(pipe: Pipeline) -> None:
    forget_alerts(pipe)
    rows = feedback.records(pipe.run, 3, 40)
    rows[5]["rating"] = 9
    put = pipe.put("feedback", feedback.as_jsonl(rows))
    counted(pipe, put)
    idle(pipe)
    before = stored(pipe, put)
    assert len(before) == 40
    for _ in range(3):
        announce(pipe, put)
    idle(pipe)
    assert stored(pipe, put) == before
    # a row that the rules of the first run let through, and those of the second do not
    gone = before[f"{pipe.run}-00000"] | {"pk": f"row#feedback#{pipe.run}-gone", "sk": f"{pipe.run}-gone"}
    table(pipe).put_all([gone])
    replays = Replays(pipe.stack)
    done = replays.follow(
        replays.start(replaying.request(prefix=pipe.key("feedback", ""), id=pipe.run)), lambda _done, _total: None
    )
    assert done.status == "SUCCEEDED"
    counted(pipe, put, run=2)
    idle(pipe)
    after = stored(pipe, put)
    assert table(pipe).get(gone["pk"], gone["sk"]) is None
    assert {item["run_key"] for item in after.values()} == {"0000000002"}
    assert {name: item | {"run_key": ""} for name, item in after.items()} == {
        name: item | {"run_key": ""} for name, item in before.items()
    }
    announce(pipe, put, run=1)  # late, from before the replay
    idle(pipe)
    assert stored(pipe, put) == after
    [notice] = until("the notice", lambda: anomaly_notices(pipe))
    assert (notice["check"], notice["count"], notice["samples"]) == ("rating_out_of_range", 1, [f"{pipe.run}-00005"])


def test_of_several_versions_the_newest_stays_in_whatever_order_they_come(pipe: Pipeline) -> None:
    rows = feedback.records(pipe.run, 4, 10)
    newer = [row | {"created_at": "2026-03-09T00:00:00Z", "comment": "second thoughts"} for row in rows]
    late = pipe.put("feedback", feedback.as_csv(newer), "newer.csv")
    counted(pipe, late)
    early = pipe.put("feedback", feedback.as_csv(rows), "older.csv")
    assert counted(pipe, early)["rows"] == 10
    assert stored(pipe, early) == {}
    assert {name: item["row"] for name, item in stored(pipe, late).items()} == {
        row["feedback_id"]: as_stored(row) for row in newer
    }
    # in one file, too; at one time the later row counts
    twice = [rows[0] | {"created_at": "2026-03-10T00:00:00Z", "comment": word} for word in ("one", "two")]
    both = pipe.put("feedback", feedback.as_jsonl([*twice, rows[0]]), "twice.jsonl")
    counted(pipe, both)
    assert {name: item["row"]["comment"] for name, item in stored(pipe, both).items()} == {
        rows[0]["feedback_id"]: "two"
    }


def test_anomalies_are_counted_once_and_told_once_in_a_while(pipe: Pipeline) -> None:
    forget_alerts(pipe)
    rows = feedback.records(pipe.run, 5, 60)
    for number in (1, 2, 3):
        rows[number]["rating"] = 0
    rows[4]["comment"], rows[5]["comment"] = None, "  "
    burst = {"customer_id": f"{pipe.run}-loud", "created_at": "2026-03-02T10:00:00Z"}
    for number in range(20, 24):  # four here, two in the next file: six are more than five
        rows[number] |= burst
    first = pipe.put("feedback", feedback.as_jsonl(rows), "first.jsonl")
    assert counted(pipe, first)["counts"] == {
        alert_pk("feedback", "rating_out_of_range"): 3,
        alert_pk("feedback", "empty_text"): 2,
    }
    flagged = {name: item["anomalies"] for name, item in stored(pipe, first).items() if "anomalies" in item}
    assert flagged == {f"{pipe.run}-0000{n}": ["rating_out_of_range"] for n in (1, 2, 3)} | {
        f"{pipe.run}-0000{n}": ["empty_text"] for n in (4, 5)
    }
    more = [row | burst | {"created_at": "2026-03-02T10:59:59Z"} for row in feedback.records(f"{pipe.run}-b", 6, 2)]
    more[0]["rating"] = 77
    second = pipe.put("feedback", feedback.as_jsonl(more), "second.jsonl")
    assert counted(pipe, second)["counts"] == {
        alert_pk("feedback", "rating_out_of_range"): 1,
        alert_pk("feedback", "burst"): 1,
    }
    idle(pipe)
    until("three notices", lambda: len(anomaly_notices(pipe)) >= 3)
    told = {notice["check"]: (notice["count"], notice["told_before"]) for notice in anomaly_notices(pipe)}
    assert told == {"rating_out_of_range": (3, 0), "empty_text": (2, 0), "burst": (1, 0)}
    assert len(anomaly_notices(pipe)) == 3  # the fourth rating came within the quiet time
    alerts = reader(pipe).alerts(CHECKS)
    assert {name: (int(item["counted_total"]), int(item["pending"])) for name, item in alerts.items()} == {
        "rating_out_of_range": (4, 1),
        "empty_text": (2, 0),
        "burst": (1, 0),
    }
    # the quiet time is over: the next one tells what has come meanwhile
    key = {"pk": {"S": alert_pk("feedback", "rating_out_of_range")}, "sk": {"S": ALERT_SK}}
    pipe.dynamodb.update_item(
        TableName=pipe.stack["feedback_table"],
        Key=key,
        UpdateExpression="SET told_at = :then",
        ExpressionAttributeValues={":then": {"N": "1"}},
    )
    last = feedback.records(f"{pipe.run}-c", 7, 1)
    last[0]["rating"] = -1
    counted(pipe, pipe.put("feedback", feedback.as_jsonl(last), "third.jsonl"))
    until("a fourth notice", lambda: len(anomaly_notices(pipe)) == 4)
    assert (anomaly_notices(pipe)[-1]["count"], anomaly_notices(pipe)[-1]["told_before"]) == (2, 3)


def test_hostile_values_are_stored_and_stop_nobody(pipe: Pipeline) -> None:
    at = "2026-03-05T00:00:00Z"
    hostile: list[tuple[str, str, dict[str, Any]]] = [
        ("", "", {"comment": "empty key", "rating": 3}),
        (f"{pipe.run}#a#b", f"{pipe.run}#é", {"comment": "x", "rating": 3}),
        (f"{pipe.run}{'k' * 3000}", pipe.run * 900, {"comment": "y", "rating": 3}),
        (f"{pipe.run}-big", pipe.run, {"comment": "z" * 600_000}),
        (f"{pipe.run}-max", pipe.run, {"comment": "n", "rating": 2**63 - 1}),
    ]
    rows = [{"feedback_id": name, "customer_id": customer, "created_at": at} | more for name, customer, more in hostile]
    put = pipe.put("feedback", feedback.as_jsonl(rows))
    assert counted(pipe, put)["rows"] == 5
    items = stored(pipe, put)
    assert len(items) == 5
    assert items[f"{pipe.run}-big"]["cut"] == ["comment"]
    assert items[f"{pipe.run}-big"]["row"]["comment"] == "z" * 4000
    assert items[f"{pipe.run}-max"]["row"]["rating"] == 2**63 - 1
    assert [row["comment"] for row in reader(pipe).of_customer(pipe.run * 900).items] == ["y"]
    assert [row["comment"] for row in reader(pipe).of_customer(f"{pipe.run}#é").items] == ["x"]


def test_a_message_that_is_none_ends_as_a_dead_letter_with_a_notice(pipe: Pipeline) -> None:
    body = json.dumps({"source": "sluice", "detail-type": "object.lost", "about": pipe.run})
    pipe.sqs.send_message(QueueUrl=pipe.stack["feedback_queue_url"], MessageBody=body)
    [letter] = pipe.dead("feedback_dlq_url", lambda found: pipe.run in found)
    assert letter["body"] == body

    def told() -> list[dict[str, Any]]:
        envelopes = [envelope for envelope in pipe.mail.drain() if envelope.get("Type") == "Notification"]
        bodies = [json.loads(envelope["Message"]) for envelope in envelopes]
        return [found for found in bodies if found.get("kind") == "dead.letter" and pipe.run in found["detail"]]

    [notice] = until("the notice", told)
    assert notice["queue"].endswith("-feedback")


@pytest.fixture
def soon(pipe: Pipeline) -> Iterator[None]:
    """A message whose function died comes back after seconds, not after six timeouts of the function."""
    url = pipe.stack["feedback_queue_url"]
    name = "VisibilityTimeout"
    before = pipe.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name]
    pipe.sqs.set_queue_attributes(QueueUrl=url, Attributes={name: "8"})
    yield
    pipe.clear_faults()
    pipe.sqs.set_queue_attributes(QueueUrl=url, Attributes={name: before})


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("soon")
def test_no_call_that_dies_loses_or_doubles_feedback(breakable: Pipeline, record_property: Any) -> None:
    """Each call of an undisturbed run is killed before and after it, for a twin of the object."""
    pipe = breakable
    forget_alerts(pipe)

    def body(name: str) -> bytes:
        rows = feedback.records(f"{pipe.run}-{name}", 8, 110, customers=22)  # two transactions
        rows[3]["rating"] = 7
        for row in rows:
            row["created_at"] = "2026-03-02T10:00:00Z"
        rows[0]["customer_id"] = rows[1]["customer_id"]  # the sixth within the hour
        return feedback.as_csv(rows)

    def outcome(name: str, put: Put, table: list[dict[str, Any]]) -> dict[str, Any]:
        counts = counted(pipe, put)
        items = [item for item in table if item["object_id"] == put.object_id]
        rows = sorted(json.dumps(item["row"], default=str, sort_keys=True) for item in items)
        return {
            "rows": [row.replace(f"{pipe.run}-{name}", "X") for row in rows],
            "count": counts["rows"],
            "counts": counts["counts"],
            "anomalies": sorted(str(item.get("anomalies")) for item in items),
        }

    told = pipe.put("feedback", body("told"), "told.csv")  # the notices are sent; the twins come in the quiet time
    counted(pipe, told)
    idle(pipe)

    def about(name: str) -> list[str]:
        return [f"{pipe.run}-{name}", pipe.origin_of(pipe.key("feedback", f"{name}.csv"), body(name)).object_id]

    with calls_about(pipe, about("calm"), "feedback") as made:
        calm = pipe.put("feedback", body("calm"), "calm.csv")
        counted(pipe, calm)
        idle(pipe)
    expected = outcome("calm", calm, everything(pipe))
    assert (len(expected["rows"]), expected["count"], sum(expected["counts"].values())) == (110, 110, 2)
    function = pipe.stack["feedback_function"]
    points = [
        (service, operation, nth, mode)
        for (_, service, operation), count in sorted(made.items())
        for nth in range(1, count + 1)
        for mode in ("kill-before", "kill-after")
    ]
    points.append((*RETURN, 1, "kill-after"))
    assert len(points) > 20
    twins = {}
    for number, (service, operation, nth, mode) in enumerate(points):
        name = f"t{number:03d}"
        fault = {"function": function, "service": service, "operation": operation, "nth": nth, "action": mode}
        pipe.set_fault(fault | {"about": about(name)})
        twins[name] = (fault, pipe.put("feedback", body(name), f"{name}.csv"))
    for _, put in twins.values():
        counted(pipe, put)
    idle(pipe)
    after = everything(pipe)
    lost = [fault for name, (fault, put) in twins.items() if outcome(name, put, after) != expected]
    unmet = pipe.unmet_faults()
    pipe.clear_faults()
    record_property("figure", f"feedback crash sweep: {len(points)} points, {len(points) - len(lost)} survived")
    assert lost == []
    assert unmet == []
    assert pipe.depth("feedback_dlq_url") == 0
    alerts = reader(pipe).alerts(CHECKS)
    assert {name: int(item["counted_total"]) for name, item in alerts.items()} == {
        "rating_out_of_range": len(points) + 2,
        "burst": len(points) + 2,
    }


def told_all(pipe: Pipeline) -> bool:
    alert = reader(pipe).alerts(CHECKS).get("rating_out_of_range")
    return alert is not None and not alert["pending"]


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("operation", "nth", "mode", "notices"),
    [
        ("UpdateItem", 1, "kill-after", 1),  # claimed, not sent
        ("Publish", 1, "kill-after", 2),  # sent, not settled
    ],
)
def test_no_notice_is_lost_with_the_function_that_sends_it(
    breakable: Pipeline, operation: str, nth: int, mode: str, notices: int
) -> None:
    pipe = breakable
    forget_alerts(pipe)
    rows = feedback.records(pipe.run, 9, 3)
    rows[0]["rating"] = 6
    with pipe.fault("feedback", "", operation, mode, nth=nth):
        put = pipe.put("feedback", feedback.as_csv(rows), "rows.csv")
        until("the crash", lambda: pipe.fault_hits() == 1)
        until("its retry", lambda: told_all(pipe))
        idle(pipe)
    assert counted(pipe, put)["rows"] == 3
    until("the notice", lambda: len(anomaly_notices(pipe)) == notices)
    assert {(notice["check"], notice["count"]) for notice in anomaly_notices(pipe)} == {("rating_out_of_range", 1)}
