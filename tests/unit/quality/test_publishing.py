"""Publishing: whatever dies between two calls, silver has the files of the last run that passed, and no others."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given
from hypothesis import strategies as st

from core.transform.staging import Staging
from quality.publish.publishing import REPLACED, Buckets, Published, Publisher
from quality.staged_run import NotStaged
from quality.verdict import NoVerdict, verdict_key
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.items import State
from sluice_pipeline.ledger.planning import BeingPublished
from sluice_pipeline.notices.ending import RunEnd
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.fencing import RunFiles, Superseded
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.objects.keys import LEFTOVERS, STAGED, staged_key
from tests.support.fakes import ConditionalS3

REF = ObjectRef("bronze-b", "bronze/flights/a.csv", "v1", "e1", 9)
ORIGIN = REF.as_origin()
OBJECT_ID = ORIGIN.object_id
NAMES = ("a", "b", "c", "d")


class DiedError(Exception):
    """The function's end, before or after a call."""


@dataclass
class World:
    """Buckets, ledger, bus and topic; the function dies at the call with the number ``dies_at``."""

    files: dict[str, dict[str, bytes]] = field(
        default_factory=lambda: {name: {} for name in ("silver", "staging", "quality")}
    )
    silver_: ConditionalS3 = field(default_factory=ConditionalS3)
    item: dict[str, Any] = field(default_factory=dict)
    chunks_: list[dict[str, Any]] = field(default_factory=list)
    committed_: list[int] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0
    dies_at: int = 0
    after: bool = False

    def __post_init__(self) -> None:
        self.publisher = Publisher(
            self,
            Buckets("silver", "staging", "quality"),
            self,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            RunEnd(self, self, self, 0.5),  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
        )

    def _call(self, work: Any = None) -> Any:
        self.calls += 1
        if self.calls == self.dies_at and not self.after:
            raise DiedError
        result = work() if work else None
        if self.calls == self.dies_at:
            raise DiedError
        return result

    # -- S3 ----------------------------------------------------------------------------------------------------------

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.files[Bucket][Key] = Body

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        def get() -> dict[str, Any]:
            if Key not in self.files[Bucket]:
                raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
            return {"Body": io.BytesIO(self.files[Bucket][Key])}

        return dict(self._call(get))

    def copy_object(self, Bucket: str, Key: str, CopySource: dict[str, str], **given: Any) -> None:  # noqa: N803
        body = self.files[CopySource["Bucket"]][CopySource["Key"]]

        def copy() -> None:
            self.silver_.put_object(Bucket=Bucket, Key=Key, Body=body, **given)
            self.files[Bucket] = self.silver_.contents(Bucket)

        assert given.pop("MetadataDirective") == "REPLACE"
        self._call(copy)

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return dict(self._call(lambda: self.silver_.head_object(Bucket=Bucket, Key=Key)))

    def delete_object(self, Bucket: str, Key: str, IfMatch: str = "") -> None:  # noqa: N803
        def delete() -> None:
            if IfMatch:
                self.silver_.delete_object(Bucket=Bucket, Key=Key, IfMatch=IfMatch)
            self.files[Bucket].pop(Key, None)

        self._call(delete)

    def get_paginator(self, operation: str) -> World:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        self._call()
        yield {"Contents": [{"Key": key} for key in sorted(self.files[Bucket]) if key.startswith(Prefix)]}

    # -- the ledger --------------------------------------------------------------------------------------------------

    def object(self, object_id: str) -> dict[str, Any] | None:
        assert object_id == OBJECT_ID
        return dict(self._call(lambda: self.item)) or None

    def chunks(self, object_id: str) -> list[dict[str, Any]]:
        assert object_id == OBJECT_ID
        return list(self._call(lambda: self.chunks_))

    def _change(self, run: int, former: str, **changes: Any) -> bool:
        def change() -> bool:
            if self.item["run"] != run or self.item["state"] != former:
                return False
            self.item |= changes
            return True

        return bool(self._call(change))

    def commit(self, object_id: str, run: int, former: State, released: Any) -> bool:
        assert object_id == OBJECT_ID
        return self._change(run, former, state="committed", released=released, notice_due=False, publishing=None)

    def begin_publishing(self, object_id: str, run: int, former: State) -> bool:
        assert object_id == OBJECT_ID
        return self._change(run, former, publishing=run)

    def withhold(self, object_id: str, run: int, code: str, error: str) -> bool:
        assert object_id == OBJECT_ID
        return self._change(run, "staged", state="withheld", failed_reason=code, error=error, notice_due=True)

    def note_unaudited(self, object_id: str, run: int, code: str, error: str) -> bool:
        assert object_id == OBJECT_ID
        if self.item.get("error") == error:
            return False
        return self._change(run, "staged", failed_reason=code, error=error, notice_due=True)

    def note_noticed(self, object_id: str, state: State, code: str) -> None:
        assert (object_id, code) == (OBJECT_ID, self.item["failed_reason"])
        self._change(self.item["run"], state, notice_due=False)

    # -- bus and topic -----------------------------------------------------------------------------------------------

    def committed(self, item: dict[str, Any], outputs: list[dict[str, Any]]) -> None:
        self._call(lambda: self.committed_.append(item["run"]))
        assert {output["key"] for output in outputs} <= self.files["silver"].keys(), "announced before it was there"

    def publish(self, kind: str, dataset: str, severity: str, subject: str, body: dict[str, Any]) -> None:
        self._call(lambda: self.sent.append({"kind": kind, "subject": subject, "severity": severity} | body))

    def quarantine_over_threshold(self, item: dict[str, Any], ratio: float) -> None:
        raise AssertionError("no row was rejected")

    # -- what transform and audit do ---------------------------------------------------------------------------------

    def stage(self, run: int, names: tuple[str, ...], passed: bool | None) -> None:
        """The next run is staged, with files of these names."""
        if self.item.get("publishing"):
            raise BeingPublished(str(self.item["publishing"]))
        message = ChunkMessage(REF, ORIGIN, "flights", Chunk(0, 0, 9, 1), run)
        outputs = [{"key": key(name), "dataset": "flights", "dt": "2013-01-01", "rows": 1} for name in names]
        before = self.chunks_[0] if self.chunks_ else {}
        for output in outputs:
            self.files["staging"][staged_key(run, str(output["key"]))] = content(str(output["key"]), run)
        Staging(self, "staging").record_leftovers(message, before, outputs)  # type: ignore[arg-type]
        self.chunks_ = [{"sk": "chunk#00000", "run": run, "outputs": outputs, "staged": True, "chunk_state": "done"}]
        self.item = {
            "object_id": OBJECT_ID, "run": run, "state": "staged", "dataset": "flights", "rows_in": 4,
            "rows_silver": 4, "rows_quarantined": 0, "bucket": REF.bucket, "key": REF.key, "version_id": "v1",
            "etag": "e1", "size": 9, "origin": {"bucket": "bronze-b", "key": REF.key, "etag": "e1", "version_id": "v1"},
        }  # fmt: skip
        if passed is not None:
            self.verdict(run, passed)

    def verdict(self, run: int, passed: bool) -> None:
        one = {
            "name": "known", "expectation": "expect_column_values_to_be_in_set", "field": "origin", "hard": True,
            "passed": passed, "rows": 4, "failed": 0 if passed else 2, "samples": [{"record_id": "x-1"}],
        }  # fmt: skip
        found = {"object_id": OBJECT_ID, "run": run, "passed": passed}
        found |= {"datasets": {"flights": {"expectations": [one]}}}
        self.files["quality"][verdict_key(OBJECT_ID, run)] = json.dumps(found).encode()

    def publish_run(
        self, run: int, error: str = "", release: str = "", dies_at: int = 0, after: bool = False
    ) -> Published:
        self.calls, self.dies_at, self.after = 0, dies_at, after
        return self.publisher.publish(OBJECT_ID, run, error, release)

    def silver(self) -> dict[str, bytes]:
        return self.files["silver"]

    def under(self, prefix: str) -> list[str]:
        return [key for key in self.files["staging"] if key.startswith(prefix)]


def key(name: str) -> str:
    return f"silver/flights/dt={name}/{OBJECT_ID}-00000.parquet"


def content(silver_key: str, run: int) -> bytes:
    return f"{silver_key} of run {run}".encode()


RUNS = st.lists(
    st.tuples(st.sets(st.sampled_from(NAMES), min_size=1), st.booleans(), st.lists(st.integers(1, 20)), st.booleans()),
    min_size=1,
    max_size=5,
)


# A file goes in a run that is withheld, and comes again; others go and come over several of them.
@example([({"a", "b"}, True, [], False), ({"a"}, False, [], False), ({"a", "b"}, True, [], False)])
@example(
    [({"a", "b"}, True, [], True), ({"a", "c"}, False, [3], True), ({"c"}, False, [], True), ({"b"}, True, [4], True)]
)
@given(RUNS)
def test_silver_has_the_last_run_that_passed_whatever_dies(runs: list[tuple[set[str], bool, list[int], bool]]) -> None:
    world = World()
    visible: dict[str, bytes] = {}
    for run, (names, passed, deaths, after) in enumerate(runs, 1):
        world.stage(run, tuple(sorted(names)), passed)
        before = len(world.sent)
        for death in deaths:
            try:
                world.publish_run(run, dies_at=death, after=after)
            except DiedError:
                assert passed or world.silver() == visible
        done = world.publish_run(run)
        if passed:
            visible = {key(name): content(key(name), run) for name in names}
            assert (done.outcome, world.committed_[-1]) == ("committed", run)
            assert (world.under(LEFTOVERS), world.under(f"{STAGED}{run:05d}/")) == ([], [])
        else:
            assert done.outcome == "withheld"
            assert not world.item["notice_due"]
            assert {one["kind"] for one in world.sent[before:]} == {"quality.withheld"}
            assert len(world.under(f"{STAGED}{run:05d}/")) == len(names)
        assert world.silver() == visible


def test_a_verdict_on_a_run_that_was_replaced_is_void() -> None:
    world = World()
    world.stage(1, ("a",), passed=True)
    world.stage(2, ("a", "b"), passed=None)
    assert world.publish_run(1).outcome == REPLACED
    assert world.silver() == {}
    assert world.committed_ == []


@pytest.mark.parametrize("death", range(1, 20))
def test_a_replay_that_opens_while_publish_copies_leaves_silver_as_it_was_announced(death: int) -> None:
    """Run 3, which is withheld, begins when run 2 has not changed silver yet, or has been announced: never between."""
    world = World()
    world.stage(1, ("a", "b", "c"), passed=True)
    world.publish_run(1)
    announced = dict(world.silver())
    world.stage(2, ("a", "b", "c"), passed=True)
    with contextlib.suppress(DiedError):
        world.publish_run(2, dies_at=death)
    try:
        world.stage(3, ("a", "b"), passed=False)
        assert world.publish_run(2).outcome == REPLACED
    except BeingPublished:
        assert world.publish_run(2).outcome == "committed"
        world.stage(3, ("a", "b"), passed=False)
    assert world.publish_run(3).outcome == "withheld"
    if world.committed_[-1] == 2:
        announced = {key(name): content(key(name), 2) for name in ("a", "b", "c")}
    assert world.silver() == announced


def test_a_publication_that_stood_still_replaces_no_file_of_a_newer_one() -> None:
    world = World()
    world.stage(1, ("a", "b"), passed=True)
    silver = RunFiles(world, "silver", 1)
    world.publish_run(1)
    world.stage(2, ("a",), passed=True)
    world.publish_run(2)
    for name in ("a", "b"):
        world.files["staging"][staged_key(1, key(name))] = content(key(name), 1)
    with pytest.raises(Superseded, match="is of run 2, this is run 1"):
        silver.copy({"Bucket": "staging", "Key": staged_key(1, key("a"))}, key("a"))
    silver.delete(key("a"))
    assert world.silver() == {key("a"): content(key("a"), 2)}


def test_a_run_that_is_not_staged_yet_is_tried_again() -> None:
    world = World()
    world.stage(1, ("a",), passed=True)
    for state in ("planned", "committing"):
        world.item["state"] = state
        with pytest.raises(NotStaged):
            world.publish_run(1)
    with pytest.raises(NotStaged):
        world.publish_run(2)
    assert world.silver() == {}


def test_an_audit_that_failed_leaves_the_run_staged_with_one_notice_and_a_verdict_later_publishes_it() -> None:
    world = World()
    world.stage(1, ("a",), passed=None)
    with pytest.raises(NoVerdict):
        world.publish_run(1)
    for _ in range(2):
        assert world.publish_run(1, error="States.Timeout: ").outcome == "staged"
    [notice] = world.sent
    assert notice["kind"] == "quality.failed"
    assert notice["repair"].endswith(f"sluice quality run {OBJECT_ID}")
    assert (world.item["state"], world.item["failed_reason"], world.silver()) == ("staged", "audit_failed", {})
    world.verdict(1, passed=True)
    assert world.publish_run(1, error="an older failure").outcome == "committed"
    assert world.silver() == {key("a"): content(key("a"), 1)}


@pytest.mark.parametrize("state", ["withheld", "staged"])
def test_an_operator_releases_a_run_all_the_same(state: str) -> None:
    world = World()
    world.stage(1, ("a", "b"), passed=False)
    if state == "withheld":
        assert world.publish_run(1) == Published("withheld", True, 4)
    done = world.publish_run(1, release="the sender confirmed it")
    assert (done.outcome, done.new, world.committed_) == ("committed", True, [1])
    assert world.item["released"]["reason"] == "the sender confirmed it"
    assert len(world.silver()) == 2


def test_a_notice_names_the_expectations_with_counts_samples_and_commands() -> None:
    world = World()
    world.stage(1, ("a",), passed=False)
    world.publish_run(1)
    [notice] = world.sent
    assert notice["subject"] == "known: 2 of 4 rows"
    [expectation] = notice["expectations"]
    assert (expectation["name"], expectation["failed"], expectation["rows"]) == ("known", 2, 4)
    assert expectation["samples"] == [{"record_id": "x-1"}]
    assert f"sluice quality show {OBJECT_ID}" in notice["look"]
    assert "sluice replay" in notice["repair"]
    assert "sluice quality release" in notice["repair"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"object_id": 1, "run": "x"}', b'{"object_id":"%s","run":7,"passed":true}']
)
def test_what_is_no_verdict_on_the_run_publishes_nothing(body: bytes) -> None:
    world = World()
    world.stage(1, ("a",), passed=None)
    world.files["quality"][verdict_key(OBJECT_ID, 1)] = body.replace(b"%s", OBJECT_ID.encode())
    with pytest.raises(NoVerdict):
        world.publish_run(1)
    assert world.silver() == {}
    assert world.item["state"] == "staged"
