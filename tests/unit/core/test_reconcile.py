"""reconcile: what bronze has and the ledger does not know is announced to ingest once, wherever a run dies."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from core.reconcile.listed import Listed
from core.reconcile.window import OVERLAP, Settings, window
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.runtime import clock
from tests.support.handlers import metrics
from tests.support.reconcile_world import BUCKET, NOW, OLD, Version, World, key_of


@pytest.fixture
def world() -> World:
    return World()


def test_an_object_that_no_event_announced_is_announced_as_s3_does(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.put("a b+c.jsonl", "known.jsonl", version_id="v7", size=12)
    world.know("known.jsonl")
    world.run()
    assert world.sent == [ObjectRef(BUCKET, key_of("a b+c.jsonl"), "v7", "e.a b+c.jsonl", 12)]
    assert world.sent[0].since == clock.written(OLD)
    found = metrics(capsys.readouterr().out)
    assert (found["ObjectsCompared"], found["ObjectsUnannounced"]) == (2, 1)
    [notice] = world.notices
    assert (notice["kind"], notice["count"], notice["dataset"]) == ("object.unannounced", 1, "shipments")
    assert notice["keys"] == [key_of("a b+c.jsonl")]


def test_an_empty_bucket_and_one_that_is_in_the_ledger_are_quiet(world: World) -> None:
    world.run()
    world.put("a")
    world.know("a")
    world.run()
    assert (world.sent, world.notices) == ([], [])


@pytest.mark.parametrize("ingested", [False, True])
def test_a_second_run_announces_nothing_again_also_while_ingest_is_behind(world: World, ingested: bool) -> None:
    world.put("a", "b")
    world.run()
    if ingested:
        world.ingest()
    world.run()
    assert (world.names, len(world.notices)) == (["a", "b"], 1)


def test_what_ingest_has_not_got_to_in_a_day_is_announced_again(world: World) -> None:
    world.put("a")
    world.run()
    for item in world.records.items.values():  # which DynamoDB has not deleted yet
        item["expiration"] = {"N": str(int(NOW.timestamp()) - 1)}
    world.run()
    assert world.names == ["a", "a"]


def test_two_runs_at_once_are_one(world: World) -> None:
    world.put("a")

    def second() -> None:
        world.after_listing = lambda: None
        world.run()

    world.after_listing = second
    world.run()
    assert (world.names, len(world.notices)) == (["a"], 1)


def test_a_young_object_is_left_to_its_event(world: World) -> None:
    world.put("a", modified=NOW - timedelta(minutes=30))
    world.run()
    assert world.sent == []


def test_what_is_no_data_and_what_is_outside_of_bronze_is_left_out(world: World) -> None:
    world.put("_SUCCESS", "folder/", size=0)
    world.bucket["elsewhere/a"] = Version("e")
    world.run()
    assert world.sent == []


def test_an_object_older_than_the_ledgers_retention_may_have_expired(world: World) -> None:
    world.put("a", modified=NOW - timedelta(days=31))
    world.put("b", modified=NOW - timedelta(days=29))
    world.run(LEDGER_RETENTION_DAYS="30")
    assert world.names == ["b"]


def test_an_object_that_was_deleted_meanwhile_is_none(world: World) -> None:
    world.put("a")
    world.after_listing = world.bucket.clear
    world.run()
    assert (world.sent, world.notices) == ([], [])


@pytest.mark.parametrize(("minutes", "known", "sent"), [(300, False, 1), (300, True, 0), (1, False, 0)])
def test_of_an_object_that_was_replaced_meanwhile_the_new_one_counts(
    world: World, minutes: int, known: bool, sent: int
) -> None:
    world.put("a")
    if known:
        world.know("a", etag="new")
    moment = NOW - timedelta(minutes=minutes)
    world.after_listing = lambda: world.put("a", etag="new", version_id="v2", modified=moment)
    world.run()
    assert [(ref.etag, ref.version_id) for ref in world.sent] == [("new", "v2")] * sent


def test_a_copy_that_a_replay_made_is_known_by_its_origin(world: World) -> None:
    origin = Origin(BUCKET, key_of("first"), "e.first", "v1")
    world.put("copy", etag="another-2", metadata=origin.to_metadata())
    world.know("first")
    world.run()
    assert world.sent == []


@pytest.mark.parametrize(("version", "sent"), [("v1", 0), ("v2", 1)])
def test_bytes_that_were_uploaded_again_after_the_ledger_called_them_missing(
    world: World, version: str, sent: int
) -> None:
    world.put("a", version_id=version)
    world.know("a", state="missing")
    world.run()
    assert len(world.sent) == sent


def test_an_upload_whose_bytes_another_object_has_is_known(world: World) -> None:
    world.put("a")
    world.know("a", same_as="0" * 32, state="")
    world.run()
    assert world.sent == []


def test_an_object_that_s3_does_not_show_is_announced_as_it_was_listed(world: World) -> None:
    """S3 answers 400 to a HEAD without the sender's own key (SSE-C); ingest records what it could not read."""
    world.put("a", refused="400")
    world.run()
    assert [(ref.key, ref.version_id) for ref in world.sent] == [(key_of("a"), "")]


def test_a_missing_permission_announces_nothing_and_frees_the_lease(world: World) -> None:
    world.put("a", refused="403")
    with pytest.raises(ClientError):
        world.run()
    world.bucket[key_of("a")].refused = ""
    world.run()
    assert world.names == ["a"]


def test_a_message_that_sqs_rejects_is_sent_by_the_next_run(world: World) -> None:
    world.put("a")
    accept = world.send_message_batch
    world.send_message_batch = lambda **_: {"Failed": [{"Id": "0", "Code": "InternalError"}]}  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="SQS rejected 1 of 1"):
        world.run()
    world.send_message_batch = accept  # type: ignore[method-assign]
    world.run()
    assert world.names == ["a"]


def test_a_pass_goes_on_where_the_time_of_a_run_was_over(world: World) -> None:
    world.page = 2
    world.put(*"abcde")
    for expected in (["a", "b"], ["a", "b", "c", "d"], ["a", "b", "c", "d", "e"]):
        world.run(seconds=30)
        assert world.names == expected
    assert "done_until" not in world.progress
    world.run(seconds=30)  # and finds that nothing is left
    assert "after_key" not in world.progress
    assert world.progress["done_until"] < clock.written(NOW)
    assert [notice["count"] for notice in world.notices] == [2, 2, 1]


def test_a_whole_pass_is_followed_by_one_of_what_is_new_and_of_long_uploads(world: World) -> None:
    world.run()
    world.put("new", "looked-at-before", modified=OLD)
    world.put("before", modified=OLD - timedelta(days=3))
    world.put("long", etag="e-5", modified=OLD - timedelta(days=6))
    world.run()
    assert world.names == ["long", "looked-at-before", "new"]


@pytest.mark.parametrize("ingest", ["behind", "quick"])
def test_every_death_before_or_after_a_call_loses_nothing(world: World, ingest: str) -> None:
    """The next run does the rest. An object is announced once more only where the page that has it was not recorded.

    What quick ingest has by then is not found any more; the notice counts it all the same.
    """

    with world.deployed() as invoke:

        def scene(die: tuple[int, str] | None) -> None:
            world.clear()
            world.page, world.die = 2, die
            world.put(*"abcde")
            world.know("c")
            while not invoke(900):
                if ingest == "quick":
                    world.ingest()

        scene(None)
        assert (world.names, [notice["count"] for notice in world.notices]) == (["a", "b", "d", "e"], [4])
        tried = [(call, when) for call in range(world.calls) for when in ("before", "after")]
        assert len(tried) > 30
        for die in tried:
            scene(die)
            assert set(world.names) == set("abde"), die
            assert max(Counter(world.names).values()) <= 2, die
            assert {notice["count"] for notice in world.notices} == {4}, die
            assert len(world.notices) <= 2, die
            assert "done_until" in world.progress, die


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(
    written=MOMENTS,
    visible_after=st.timedeltas(timedelta(0), timedelta(days=9)),
    first=MOMENTS,
    gap=st.timedeltas(timedelta(minutes=1), timedelta(days=400)),
    multipart=st.booleans(),
)
def test_no_object_falls_between_two_passes(
    written: datetime, visible_after: timedelta, first: datetime, gap: timedelta, multipart: bool
) -> None:
    """What the first pass could not see, or had to leave to its event, the second one judges once it is old enough."""
    settings = Settings(timedelta(minutes=60), timedelta(days=7), None)
    if visible_after > (OVERLAP + settings.longest_upload if multipart else OVERLAP):
        return  # S3 aborts such an upload
    one = Listed("bronze/a/b", "e-2" if multipart else "e", 1, clock.written(written))
    before = window(first, None, settings, first)
    judged = before.holds(one) and written + visible_after <= first
    second = first + gap
    after = window(second, datetime.fromisoformat(before.until), settings, second)
    old_enough = clock.written(written) < after.until and written + visible_after <= second
    assert judged or not old_enough or after.holds(one)
