"""The record of what roles used."""

from sluice_ext.iam.record import Record

ROLE = "arn:aws:iam::000000000000:role/r"


def uses(record: Record) -> list[tuple[str, dict[str, str], int, int]]:
    return [
        (use["action"], use["keys"], use["count"], use["refused"]) for use in record.to_json()["roles"].get(ROLE, [])
    ]


def test_a_use_is_counted_once_for_each_value_of_its_condition_keys() -> None:
    record = Record()
    record.add(ROLE, "cloudwatch:PutMetricData", "", {"cloudwatch:namespace": "a"})
    record.add(ROLE, "cloudwatch:PutMetricData", "", {"cloudwatch:namespace": "a"}, refused=True)
    record.add(ROLE, "cloudwatch:PutMetricData", "", {"cloudwatch:namespace": "b"})
    record.add(ROLE, "sqs:SendMessage", "arn:q")
    assert uses(record) == [
        ("cloudwatch:PutMetricData", {"cloudwatch:namespace": "a"}, 2, 1),
        ("cloudwatch:PutMetricData", {"cloudwatch:namespace": "b"}, 1, 0),
        ("sqs:SendMessage", {}, 1, 0),
    ]
    again = Record()
    again.load(record.dump())
    assert again.to_json() == record.to_json()


def test_a_record_that_was_saved_without_condition_keys_is_read() -> None:
    record = Record()
    record.load({"uses": {ROLE: {("sqs:SendMessage", "arn:q"): [3, 1]}}, "dropped": 0})
    record.add(ROLE, "sqs:SendMessage", "arn:q")
    assert uses(record) == [("sqs:SendMessage", {}, 4, 1)]


def test_more_than_the_limit_is_counted_as_dropped() -> None:
    record = Record(max_uses=1)
    for name in ("a", "b", "a"):
        record.add(ROLE, "sqs:SendMessage", name)
    assert record.to_json()["dropped"] == 1
    assert uses(record) == [("sqs:SendMessage", {}, 2, 0)]
