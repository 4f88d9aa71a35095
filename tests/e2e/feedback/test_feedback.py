"""Feedback: every row that silver takes is found by customer and by date, once, in its newest version."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from feedback.rows import ALERT_SK, alert_pk
from fixtures import feedback
from sluice.pipeline import replay as replaying
from sluice.pipeline.replay import Replays
from tests.support.changes import quick_redelivery
from tests.support.feedback import CHECKS, Feedback
from tests.support.paging import all_pages, assert_cursors_are_checked
from tests.support.pipeline import Pipeline, until

pytestmark = pytest.mark.usefixtures("feedback_deployed")


@pytest.fixture
def branch(pipe: Pipeline) -> Feedback:
    return Feedback(pipe)


def as_stored(row: dict[str, Any]) -> dict[str, Any]:
    """What an item's row holds of a row that was sent."""
    at = f"{row['created_at'].removesuffix('Z')}.000000Z"
    return {name: value for name, value in (row | {"created_at": at}).items() if value is not None}


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


def test_csv_and_json_are_found_by_customer_and_by_date(pipe: Pipeline, branch: Feedback) -> None:
    before = {name: metric(pipe, name) for name in ("ProcessedItemCount", "ProcessingErrors", "ETLLatency")}
    begin = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=int(pipe.run, 16) % 9000)  # of this test alone
    rows = feedback.records(pipe.run, 1, 300, begin=begin)
    # neither bad row is feedback: core quarantines them, the branch never sees them
    bad = [rows[0] | {"feedback_id": None}, rows[1] | {"channel": "pigeon"}]
    first = pipe.put("feedback", feedback.as_csv([*rows[:150], *bad]), "rows.csv")
    second = pipe.put("feedback", feedback.as_jsonl(rows[150:]), "rows.jsonl")
    assert [branch.counted(put)["rows"] for put in (first, second)] == [150, 150]
    assert [row["reason"] for row in pipe.quarantined(first)] == ["missing_required", "not_allowed"]
    items = branch.stored(first, second)
    assert {name: item["row"] for name, item in items.items()} == {row["feedback_id"]: as_stored(row) for row in rows}

    customer = rows[7]["customer_id"]
    expected = [as_stored(row) for row in rows if row["customer_id"] == customer]
    expected.sort(key=lambda row: (row["created_at"], row["feedback_id"]), reverse=True)
    found, pages = all_pages(partial(branch.reader.of_customer, customer, limit=4))
    assert [{name: value for name, value in row.items() if name[0] != "_"} for row in found] == expected
    assert pages >= 2
    assert {row["_source_key"] for row in found} == {first.ref.key, second.ref.key}

    days: Counter[str] = Counter()
    for day in (f"{begin + timedelta(days=number):%Y-%m-%d}" for number in range(4)):
        page = branch.reader.of_day(day, limit=1000)
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


def test_a_cursor_of_another_query_is_refused(pipe: Pipeline, branch: Feedback) -> None:
    rows = [row | {"customer_id": f"{pipe.run}-one"} for row in feedback.records(pipe.run, 2, 3)]
    branch.counted(pipe.put("feedback", feedback.as_csv(rows), "rows.csv"))
    assert_cursors_are_checked(
        partial(branch.reader.of_customer, f"{pipe.run}-one"), partial(branch.reader.of_customer, f"{pipe.run}-two")
    )


def test_delivered_twice_and_replayed_nothing_changes(pipe: Pipeline, branch: Feedback) -> None:
    branch.forget_alerts()
    rows = feedback.records(pipe.run, 3, 40)
    rows[5]["rating"] = 9
    put = pipe.put("feedback", feedback.as_jsonl(rows))
    branch.counted(put)
    branch.idle()
    before = branch.stored(put)
    assert len(before) == 40
    for _ in range(3):
        branch.announce(put)
    branch.idle()
    assert branch.stored(put) == before
    # a row that the rules of the first run let through, and those of the second do not
    gone = before[f"{pipe.run}-00000"] | {"pk": f"row#feedback#{pipe.run}-gone", "sk": f"{pipe.run}-gone"}
    branch.table.put_all([gone])
    replays = Replays(pipe.stack)
    done = replays.follow(
        replays.start(replaying.request(prefix=pipe.key("feedback", ""), id=pipe.run)), lambda _done, _total: None
    )
    assert done.status == "SUCCEEDED"
    branch.counted(put, run=2)
    branch.idle()
    after = branch.stored(put)
    assert branch.table.get(gone["pk"], gone["sk"]) is None
    assert {item["run_key"] for item in after.values()} == {"0000000002"}
    assert {name: item | {"run_key": ""} for name, item in after.items()} == {
        name: item | {"run_key": ""} for name, item in before.items()
    }
    branch.announce(put, run=1)  # late, from before the replay
    branch.idle()
    assert branch.stored(put) == after
    [notice] = until("the notice", branch.anomaly_notices)
    assert (notice["check"], notice["count"], notice["samples"]) == ("rating_out_of_range", 1, [f"{pipe.run}-00005"])


def test_of_several_versions_the_newest_stays_in_whatever_order_they_come(pipe: Pipeline, branch: Feedback) -> None:
    rows = feedback.records(pipe.run, 4, 10)
    newer = [row | {"created_at": "2026-03-09T00:00:00Z", "comment": "second thoughts"} for row in rows]
    late = pipe.put("feedback", feedback.as_csv(newer), "newer.csv")
    branch.counted(late)
    early = pipe.put("feedback", feedback.as_csv(rows), "older.csv")
    assert branch.counted(early)["rows"] == 10
    assert branch.stored(early) == {}
    assert {name: item["row"] for name, item in branch.stored(late).items()} == {
        row["feedback_id"]: as_stored(row) for row in newer
    }
    # in one file, too; at one time the later row counts
    twice = [rows[0] | {"created_at": "2026-03-10T00:00:00Z", "comment": word} for word in ("one", "two")]
    both = pipe.put("feedback", feedback.as_jsonl([*twice, rows[0]]), "twice.jsonl")
    branch.counted(both)
    assert {name: item["row"]["comment"] for name, item in branch.stored(both).items()} == {
        rows[0]["feedback_id"]: "two"
    }


def test_anomalies_are_counted_once_and_notified_once_in_a_while(pipe: Pipeline, branch: Feedback) -> None:
    branch.forget_alerts()
    rows = feedback.records(pipe.run, 5, 60)
    for number in (1, 2, 3):
        rows[number]["rating"] = 0
    rows[4]["comment"], rows[5]["comment"] = None, "  "
    burst = {"customer_id": f"{pipe.run}-loud", "created_at": "2026-03-02T10:00:00Z"}
    for number in range(20, 24):  # four here, two in the next file: six are more than five
        rows[number] |= burst
    first = pipe.put("feedback", feedback.as_jsonl(rows), "first.jsonl")
    assert branch.counted(first)["counts"] == {
        alert_pk("feedback", "rating_out_of_range"): 3,
        alert_pk("feedback", "empty_text"): 2,
    }
    flagged = {name: item["anomalies"] for name, item in branch.stored(first).items() if "anomalies" in item}
    assert flagged == {f"{pipe.run}-0000{n}": ["rating_out_of_range"] for n in (1, 2, 3)} | {
        f"{pipe.run}-0000{n}": ["empty_text"] for n in (4, 5)
    }
    more = [row | burst | {"created_at": "2026-03-02T10:59:59Z"} for row in feedback.records(f"{pipe.run}-b", 6, 2)]
    more[0]["rating"] = 77
    second = pipe.put("feedback", feedback.as_jsonl(more), "second.jsonl")
    assert branch.counted(second)["counts"] == {
        alert_pk("feedback", "rating_out_of_range"): 1,
        alert_pk("feedback", "burst"): 1,
    }
    branch.idle()
    until("three notices", lambda: len(branch.anomaly_notices()) >= 3)
    notified = {notice["check"]: (notice["count"], notice["notified_before"]) for notice in branch.anomaly_notices()}
    assert notified == {"rating_out_of_range": (3, 0), "empty_text": (2, 0), "burst": (1, 0)}
    assert len(branch.anomaly_notices()) == 3  # the fourth rating came within the quiet time
    alerts = branch.reader.alerts(CHECKS)
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
    branch.counted(pipe.put("feedback", feedback.as_jsonl(last), "third.jsonl"))
    until("a fourth notice", lambda: len(branch.anomaly_notices()) == 4)
    assert (branch.anomaly_notices()[-1]["count"], branch.anomaly_notices()[-1]["notified_before"]) == (2, 3)


def test_hostile_values_are_stored_and_stop_no_other_row(pipe: Pipeline, branch: Feedback) -> None:
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
    assert branch.counted(put)["rows"] == 5
    items = branch.stored(put)
    assert len(items) == 5
    assert items[f"{pipe.run}-big"]["cut"] == ["comment"]
    assert items[f"{pipe.run}-big"]["row"]["comment"] == "z" * 4000
    assert items[f"{pipe.run}-max"]["row"]["rating"] == 2**63 - 1
    assert [row["comment"] for row in branch.reader.of_customer(pipe.run * 900).items] == ["y"]
    assert [row["comment"] for row in branch.reader.of_customer(f"{pipe.run}#é").items] == ["x"]


def test_a_message_that_is_none_ends_as_a_dead_letter_with_a_notice(pipe: Pipeline) -> None:
    body = json.dumps({"source": "sluice", "detail-type": "object.lost", "about": pipe.run})
    pipe.sqs.send_message(QueueUrl=pipe.stack["feedback_queue_url"], MessageBody=body)
    [message] = pipe.receive_messages("feedback_dlq_url", lambda found: pipe.run in found)
    assert message["body"] == body

    [notice] = until("the notice", lambda: pipe.mail.notices(kind="dead.letter", detail=body))
    assert notice["queue"].endswith("-feedback")


@pytest.fixture
def quick(pipe: Pipeline) -> Iterator[None]:
    with quick_redelivery(pipe, feedback_queue_url="feedback"):
        yield
        pipe.clear_faults()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("operation", "nth", "mode", "notices"),
    [
        ("UpdateItem", 1, "kill-after", 1),  # claimed, not sent
        ("Publish", 1, "kill-after", 2),  # sent, not settled
    ],
)
def test_no_notice_is_lost_with_the_function_that_sends_it(
    breakable: Pipeline, branch: Feedback, operation: str, nth: int, mode: str, notices: int
) -> None:
    pipe = breakable
    branch.forget_alerts()
    rows = feedback.records(pipe.run, 9, 3)
    rows[0]["rating"] = 6
    with pipe.fault("feedback", "", operation, mode, nth=nth):
        put = pipe.put("feedback", feedback.as_csv(rows), "rows.csv")
        until("the crash", lambda: pipe.fault_hits() == 1)
        until("its retry", branch.all_notified)
        branch.idle()
    assert branch.counted(put)["rows"] == 3
    until("the notice", lambda: len(branch.anomaly_notices()) == notices)
    assert {(notice["check"], notice["count"]) for notice in branch.anomaly_notices()} == {("rating_out_of_range", 1)}
