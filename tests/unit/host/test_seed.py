"""Uploading: the right keys, the identities the ledger will use, and clear errors."""

import pytest

from fixtures import shipping
from sluice.console import SluiceError
from sluice.pipeline import seed
from sluice.pipeline.verify import object_id
from tests.support.fakes import FakeStack


@pytest.mark.parametrize(
    ("text", "months"),
    [("1", [1]), ("1-3", [1, 2, 3]), ("12,4, 7-9", [4, 7, 8, 9, 12]), ("1-12", list(range(1, 13)))],
)
def test_months_are_read_as_people_write_them(text: str, months: list[int]) -> None:
    assert seed.parse_months(text) == months


@pytest.mark.parametrize("text", ["", "0", "13", "1-13", "x", "3-1", "1-", "-1", "1;2"])
def test_months_that_are_none_are_wrong_use(text: str) -> None:
    with pytest.raises(SluiceError) as error:
        seed.parse_months(text)
    assert error.value.code == 2
    assert "\n" not in str(error.value)


def test_keys_lie_below_their_dataset_with_or_without_a_prefix() -> None:
    assert seed.bronze_key("flights", "", "2013-01.jsonl") == "bronze/flights/2013-01.jsonl"
    assert seed.bronze_key("mixed", "/a/b/", "x.jsonl") == "bronze/mixed/a/b/x.jsonl"


def test_uploads_land_in_bronze_under_the_identity_that_the_ledger_will_use() -> None:
    stack = FakeStack()
    seen: list[str] = []
    uploads = [*seed.shipping(1, 20, "p"), *seed.shipping(2, 30, "p")]
    done = seed.upload(stack, uploads, done=lambda item: seen.append(item.key))  # type: ignore[arg-type]
    assert [(item.key, item.rows) for item in done] == [
        ("bronze/mixed/p/shipping-1-20.jsonl", 20), ("bronze/mixed/p/shipping-2-30.jsonl", 30),
    ]  # fmt: skip
    assert sorted(seen) == [item.key for item in done]
    for item, feed in zip(done, (shipping.feed(1, 20), shipping.feed(2, 30)), strict=True):
        stored = stack.s3.objects["bronze-b", item.key][0]
        assert stored.body == feed.body
        assert (item.size, item.etag, item.version_id) == (len(feed.body), stored.etag, "v1")
        assert item.object_id == object_id("bronze-b", item.key, stored.etag)


def test_a_month_of_flights_is_one_object_of_its_rows() -> None:
    stack = FakeStack()
    (done,) = seed.upload(stack, seed.flights([2], "x"))  # type: ignore[arg-type]
    assert (done.key, done.rows) == ("bronze/flights/x/2013-02.jsonl", 24_951)
    assert stack.s3.objects["bronze-b", done.key][0].body.count(b"\n") == done.rows


def test_the_first_error_ends_the_upload() -> None:
    stack = FakeStack()

    def failing() -> bytes:
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        seed.upload(stack, [seed.Upload("bronze/x/y", failing, 1)])  # type: ignore[arg-type]
