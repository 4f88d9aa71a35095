"""The download of a month: whole or not at all, of one version, whatever the connection and the source do."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fixtures import taxi
from fixtures.taxi_server import Fault, TaxiServer
from tests.support.job_scripts import job_script

JOB = job_script("taxi", "ingest")
ROWS = 3000
RANGE = 20_000
REPORT = "reports/ingest/2024-09/2024-09-1.json"


class Died(BaseException):
    """The job's end at a call."""


class Bucket:
    """S3 as the job uses it. ``dies_at``: the number of the call at which the job ends, and whether it is done."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str | None]] = {}
        self.calls: list[str] = []
        self.dies_at: tuple[int, bool] | None = None

    def _call(self, name: str, act: Callable[[], Any]) -> Any:
        self.calls.append(name)
        nth, done = self.dies_at or (0, False)
        if len(self.calls) == nth and not done:
            raise Died
        try:
            return act()
        finally:
            if len(self.calls) == nth:
                raise Died

    def head_object(self, *, Bucket: str, Key: str, ChecksumMode: str) -> Any:  # noqa: N803
        assert (Bucket, ChecksumMode) == ("taxi-b", "ENABLED")

        def act() -> dict[str, Any]:
            if Key not in self.objects:
                answer: Any = {"Error": {"Code": "404"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
                raise ClientError(answer, "HeadObject")
            body, checksum = self.objects[Key]
            return {"ContentLength": len(body), "ChecksumSHA256": checksum}

        return self._call("HeadObject", act)

    def put_object(self, *, Bucket: str, Key: str, Body: Any, **more: Any) -> Any:  # noqa: N803
        assert Bucket == "taxi-b"

        checksum = more.get("ChecksumSHA256")

        def act() -> None:
            body = Body if isinstance(Body, bytes) else Body.read()
            if checksum:
                assert base64.b64encode(hashlib.sha256(body).digest()).decode() == checksum
            self.objects[Key] = body, checksum

        return self._call("PutObject", act)

    def report(self) -> Any:
        return json.loads(self.objects[REPORT][0])

    def raw(self) -> dict[str, bytes]:
        return {key: body for key, (body, _) in self.objects.items() if key.startswith("raw/")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(JOB, "RANGE_BYTES", RANGE)
    taxi.write_month(tmp_path, 2024, 9, ROWS)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[TaxiServer]:
    with TaxiServer(folder) as serving:
        yield serving


def given(url: str, **more: str) -> dict[str, str]:
    known = {"year": "2024", "month": "09", "bucket": "taxi-b", "prefix": "yellow", "batch": "2024-09-1"}
    return known | {"source_url": url} | more


def ingest(url: str, bucket: Bucket | None = None, **more: str) -> Bucket:
    found = bucket or Bucket()
    JOB.ingest(JOB.checked(given(url, **more)), found, wait=lambda _: None)
    return found


def content(folder: Path) -> bytes:
    return (folder / "yellow_tripdata_2024-09.parquet").read_bytes()


def assert_whole(bucket: Bucket, folder: Path) -> None:
    body = content(folder)
    digest = hashlib.sha256(body).hexdigest()
    key = f"raw/yellow/year=2024/month=09/{digest}.parquet"
    assert bucket.raw() == {key: body}
    report = bucket.report()
    assert report.pop("etag") == f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    assert report.pop("source_url").startswith("http://127.0.0.1:")
    known = {"batch": "2024-09-1", "published": True, "key": key, "bytes": len(body), "sha256": digest, "rows": ROWS}
    assert report == known


def test_a_month_is_read_in_ranges_and_named_by_its_content(server: TaxiServer, folder: Path) -> None:
    bucket = ingest(server.url)
    assert_whole(bucket, folder)
    size = len(content(folder))
    assert server.requests == [f"bytes={at}-{at + RANGE - 1}" for at in range(0, size, RANGE)]
    assert len(server.requests) > 2
    assert bucket.calls == ["HeadObject", "PutObject", "PutObject"]


def test_the_same_content_is_not_written_twice(server: TaxiServer, folder: Path) -> None:
    bucket = ingest(server.url)
    bucket.calls.clear()
    ingest(server.url, bucket)
    assert bucket.calls == ["HeadObject", "PutObject"]
    assert_whole(bucket, folder)


def test_a_corrected_file_is_another_object(server: TaxiServer, folder: Path) -> None:
    bucket = ingest(server.url)
    [first] = bucket.raw()
    taxi.write_month(folder, 2024, 9, ROWS, seed=1)
    ingest(server.url, bucket)
    assert len(bucket.raw()) == 2
    assert bucket.report()["key"] != first


@pytest.mark.parametrize("cut", [0, 1, RANGE // 2])
def test_a_broken_connection_costs_what_was_not_read(server: TaxiServer, folder: Path, cut: int) -> None:
    server.faults.extend([None, Fault(cut_after=cut), Fault(cut_after=cut)])
    assert_whole(ingest(server.url), folder)
    assert server.requests[2] == f"bytes={RANGE + cut}-{2 * RANGE + cut - 1}"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_an_answer_that_passes_is_asked_for_again(server: TaxiServer, folder: Path, status: int) -> None:
    server.faults.extend([Fault(status=status), None, Fault(status=status), Fault(status=status)])
    assert_whole(ingest(server.url), folder)


def test_a_server_that_never_goes_on_is_named_with_the_byte(server: TaxiServer) -> None:
    server.faults.extend([None, *[Fault(status=503)] * 50])
    with pytest.raises(JOB.IngestFailed, match=f"cannot be read from byte {RANGE} on: OSError: 503"):
        ingest(server.url)
    assert len(server.requests) == 1 + JOB.TRIES


def test_a_weak_etag_is_not_sent_as_a_condition_that_never_holds(server: TaxiServer, folder: Path) -> None:
    server.faults.extend([Fault(headers={"ETag": 'W/"1"'})] * 100)
    bucket = ingest(server.url)
    assert list(bucket.raw().values()) == [content(folder)]
    assert bucket.report()["etag"] == 'W/"1"'


def test_a_range_that_ends_before_it_begins_is_refused(server: TaxiServer) -> None:
    backwards = Fault(status=206, headers={"Content-Range": f"bytes {RANGE}-5/99999"}, leave_out=("ETag",))
    server.faults.extend([None, *[backwards] * 20])
    bucket = Bucket()
    with pytest.raises(JOB.IngestFailed, match=f"a range that cannot be: bytes {RANGE}-5/99999"):
        ingest(server.url, bucket)
    assert bucket.objects == {}


@pytest.mark.parametrize("status", [403, 404])
def test_a_month_that_is_not_published_is_reported_and_no_failure(server: TaxiServer, status: int) -> None:
    server.faults.append(Fault(status=status))
    bucket = ingest(server.url)
    assert bucket.raw() == {}
    report = bucket.report()
    assert (report["published"], str(status) in report["answer"]) == (False, True)


@pytest.mark.parametrize("tagged", [True, False])
def test_a_file_that_changes_between_two_ranges_is_read_again(folder: Path, tagged: bool) -> None:
    with TaxiServer(folder, tagged=tagged) as server:
        served = server.serve

        def serve(handler: Any) -> None:
            if len(server.requests) == 1:
                taxi.write_month(folder, 2024, 9, ROWS + 700, seed=5)
            served(handler)

        server.serve = serve  # type: ignore[method-assign]
        bucket = ingest(server.url)
    assert list(bucket.raw().values()) == [content(folder)]
    assert bucket.report()["rows"] == ROWS + 700


def test_a_file_that_always_changes_fails(folder: Path) -> None:
    with TaxiServer(folder) as server:
        served, seeds = server.serve, iter(range(100))

        def serve(handler: Any) -> None:
            taxi.write_month(folder, 2024, 9, ROWS, seed=next(seeds))
            served(handler)

        server.serve = serve  # type: ignore[method-assign]
        with pytest.raises(JOB.IngestFailed, match="changed 3 times while it was read"):
            ingest(server.url)


def test_a_server_without_ranges_sends_all_of_it_again(folder: Path) -> None:
    with TaxiServer(folder, ranges=False) as server:
        server.faults.extend([Fault(cut_after=bytes_) for bytes_ in (30_000, 20_000, 31_000, 0)])
        assert_whole(ingest(server.url), folder)
        assert len(server.requests) == 5


def test_a_server_without_ranges_that_always_ends_early_is_named(folder: Path) -> None:
    with TaxiServer(folder, ranges=False) as server:
        server.faults.extend([Fault(cut_after=30_000)] * 50)
        with pytest.raises(JOB.IngestFailed, match="cannot be read from byte 30000 on"):
            ingest(server.url)
        assert len(server.requests) == 1 + JOB.TRIES


HTML = b"<!DOCTYPE html><html>Please sign in</html>"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(status=200, body=b""), "has 0 bytes"),
        (Fault(status=200, body=HTML), "is no Parquet file: it has 42 bytes and begins with b'<!DO'"),
        (Fault(status=200, body=b"PAR1"), "is no Parquet file"),
        (Fault(status=200, body=b"PAR1" + b"\x00" * 500 + b"PAR1"), "is no readable Parquet file"),
        (Fault(status=200, body=gzip.compress(HTML), headers={"Content-Encoding": "gzip"}), "is sent as gzip"),
        (Fault(status=302, headers={"Location": "file:///etc/passwd"}), "302 to file:///etc/passwd, which is not"),
        (Fault(status=301, headers={"Location": "http://127.0.0.1:1/x"}), "to http://127.0.0.1:1/x, which is not"),
        (Fault(status=401), "answers 401"),
        (Fault(status=206, headers={"Content-Range": "bytes 0-9/99999999999"}), "has 99999999999 bytes, more than"),
        (Fault(status=206, headers={"Content-Range": "bytes 5-9/10"}), "answers bytes 5 to 9 instead of those from 0"),
        (Fault(status=206, headers={"Content-Range": "bytes */10"}), "does not say how long it is"),
        (Fault(status=206, headers={"Content-Range": "bytes 0-99/10"}), "a range that cannot be: bytes 0-99/10"),
        (Fault(status=416, headers={"Content-Range": "bytes */0"}), "has 0 bytes"),
        (Fault(status=200, leave_out=("Content-Length",)), "does not say how long it is"),
    ],
)
def test_what_is_no_month_is_refused_with_what_it_is(server: TaxiServer, fault: Fault, says: str) -> None:
    server.faults.extend([fault] * 20)
    bucket = Bucket()
    with pytest.raises(JOB.IngestFailed, match=says.replace("*", r"\*")):
        ingest(server.url, bucket)
    assert bucket.objects == {}


def test_a_file_that_is_cut_at_the_source_is_refused(server: TaxiServer, folder: Path) -> None:
    path = folder / "yellow_tripdata_2024-09.parquet"
    path.write_bytes(content(folder)[:-100])
    with pytest.raises(JOB.IngestFailed, match="is no Parquet file"):
        ingest(server.url)


def test_a_file_of_no_rows_is_a_month_of_none(server: TaxiServer, folder: Path) -> None:
    taxi.write_month(folder, 2024, 9, 0, oddities=taxi.Oddities(0, 0, 0))
    assert ingest(server.url).report()["rows"] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source_url", "file:///etc/{year}-{month}"), ("source_url", "http://host/fixed.parquet"),
        ("source_url", "http://host/{month}/{year}"), ("source_url", "http://h/{year}-{month}{other}"),
        ("month", "9"), ("month", "13"), ("year", "1999"), ("bucket", "a/b"), ("prefix", "../x"),
        ("batch", "2024-08-1"), ("batch", "2024-09-0"), ("batch", "2024-09-1/../../x"),
    ],
)  # fmt: skip
def test_an_argument_of_another_form_is_refused(name: str, value: str) -> None:
    with pytest.raises(JOB.IngestFailed, match=f"--{name} "):
        JOB.checked(given("http://host/{year}-{month}") | {name: value})


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("done", [False, True])
def test_a_job_that_dies_at_any_call_leaves_a_whole_file_or_none(
    server: TaxiServer, folder: Path, nth: int, done: bool
) -> None:
    bucket = Bucket()
    bucket.dies_at = nth, done
    with pytest.raises(Died):
        ingest(server.url, bucket)
    assert all(body == content(folder) for body in bucket.raw().values())
    assert (REPORT in bucket.objects) == (nth == 3 and done)
    bucket.dies_at = None
    ingest(server.url, bucket)
    assert_whole(bucket, folder)


def test_the_file_is_not_held_in_memory(server: TaxiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[bool] = []
    bucket = Bucket()
    put = bucket.put_object

    def noting(**call: Any) -> Any:
        bodies.append(isinstance(call["Body"], bytes | io.BytesIO))
        return put(**call)

    monkeypatch.setattr(bucket, "put_object", noting)
    ingest(server.url, bucket)
    assert bodies == [False, True]
