"""`sluice put` on a stack: a file becomes one object, its end is known, and what is not ingested is seen."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from fixtures import formats, shipping
from sluice.engine.instance import Instance
from sluice.pipeline import verify
from sluice.pipeline.overview import Collector
from sluice.pipeline.put import PART_BYTES, Destination, Uploader, wait_for_end
from tests.e2e.core.test_documents import shell
from tests.support.pipeline import DEADLINE, Pipeline

ROWS = shipping.records("shipments", 90, 40)


def put(instance: Instance, arguments: str, code: int = 0) -> list[dict[str, Any]]:
    done = shell(instance, f"sluice put {arguments} --wait --json")
    assert done.returncode == code, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_file_is_one_object_however_often_it_is_put(pipe: Pipeline, instance: Instance, tmp_path: Path) -> None:
    body = formats.jsonl([*ROWS, ROWS[0] | {"weight_kg": -5.0}])
    for name in ("a b.jsonl", "copy of ä.jsonl"):
        (tmp_path / name).write_bytes(body)
    [first] = put(instance, f"'{tmp_path}/a b.jsonl' shipments/{pipe.run}")
    [again] = put(instance, f"'{tmp_path}/copy of ä.jsonl' bronze/shipments/{pipe.run}/")
    end = {"state": "committed", "rows_in": 41, "rows_silver": 40, "rows_quarantined": 1}
    assert end.items() <= first["end"].items()
    assert (first["new"], again["new"]) == (True, False)
    assert [again[name] for name in ("key", "object_id", "end")] == [
        first[name] for name in ("key", "object_id", "end")
    ]
    report = pipe.verified(f"bronze/shipments/{pipe.run}/")
    assert [(row.object_id, row.source) for row in report.objects] == [(first["object_id"], 41)]
    shown = shell(instance, f"sluice runs {pipe.run}")
    assert shown.returncode == 0
    assert first["object_id"] in shown.stdout


def test_a_large_file_is_uploaded_in_parts_and_has_one_identity(pipe: Pipeline, tmp_path: Path) -> None:
    lines = formats.jsonl(shipping.records("shipments", 91, 1_000))
    times = PART_BYTES // len(lines) + 1
    (tmp_path / "large.jsonl").write_bytes(lines * times)
    uploader, to = Uploader(pipe.stack), Destination("shipments", pipe.run)
    sent: list[int] = []
    first = uploader.put(tmp_path / "large.jsonl", to, sent.append)
    assert (sum(sent), first.size) == (len(lines) * times, len(lines) * times)
    etag = pipe.s3.head_object(Bucket=pipe.stack["bronze_bucket"], Key=first.key)["ETag"]
    assert etag.endswith('-2"')
    assert not uploader.put(tmp_path / "large.jsonl", to).new
    pipe.s3.delete_object(Bucket=pipe.stack["bronze_bucket"], Key=first.key)  # its version stays
    again = uploader.put(tmp_path / "large.jsonl", to)
    assert (again.new, again.object_id) == (True, first.object_id)
    item = wait_for_end(pipe.stack, [first.object_id], DEADLINE)[first.object_id]
    assert (item["state"], item["rows_in"], item["rows_silver"]) == ("committed", 1_000 * times, 1_000 * times)


def test_an_object_that_fails_is_code_1_with_its_reason(pipe: Pipeline, instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(formats.jsonl(ROWS), mtime=0)[:-9])
    where = f"'{tmp_path}/cut.jsonl.gz' shipments/{pipe.run}"
    assert shell(instance, f"sluice put {where}").returncode == 2
    [failed] = put(instance, f"{where} --force", code=1)
    assert (failed["end"]["state"], failed["end"]["failed_reason"]) == ("failed", "truncated_gzip")
    done = shell(instance, f"sluice dlq purge {failed['object_id']} --yes --json")
    assert json.loads(done.stdout)["chunks"] == 1


def test_an_object_that_is_not_ingested_is_seen(pipe: Pipeline) -> None:
    bucket, key = pipe.stack["bronze_bucket"], f"raw/{pipe.run}/x.csv"
    pipe.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    try:
        assert key in verify.verify(pipe.stack).unmanaged
        assert key in Collector(pipe.stack).collect().unmanaged
        assert pipe.ledger.one(verify.object_id(bucket, key, "9dd4e461268c8034f5c8564e155c67a6")) is None
    finally:
        pipe.s3.delete_object(Bucket=bucket, Key=key)
