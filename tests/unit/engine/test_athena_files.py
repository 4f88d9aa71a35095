"""The files below the locations of a table: one list for many partitions finds what a list for each finds."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice_ext.athena import files
from sluice_ext.athena.files import Files, Unreadable


class Bucket:
    """Objects of one bucket, and the prefixes that were listed; a prefix in ``denied`` may not be."""

    def __init__(self, objects: dict[str, bytes], denied: tuple[str, ...] = ()) -> None:
        self.objects = objects
        self.denied = denied
        self.listed: list[str] = []

    def get_paginator(self, _: str) -> Bucket:
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        del Bucket
        self.listed.append(Prefix)
        if Prefix in self.denied:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListObjectsV2")
        found = [
            {"Key": key, "Size": len(body), "ETag": str(hash(body)), "LastModified": 0}
            for key, body in sorted(self.objects.items())
            if key.startswith(Prefix)
        ]
        yield from ({"Contents": found[at : at + 3]} for at in range(0, len(found), 3))

    def get_object(self, Bucket: str, Key: str, IfMatch: str) -> dict[str, Any]:  # noqa: N803
        del Bucket
        assert IfMatch == str(hash(self.objects[Key]))
        return {"Body": io.BytesIO(self.objects[Key])}


def keys_and_contents(found: list[list[dict[str, Any]]]) -> list[list[tuple[str, bytes]]]:
    return [[(one["key"], Path(one["path"]).read_bytes()) for one in some] for some in found]


FOLDERS = st.sampled_from(["", "a/", "a/b/", "a/bc/", "a/b/dt=1/", "_x/", "a/_x/", "é/"])
KEYS = st.tuples(FOLDERS, st.sampled_from(["f", "f.parquet", "_f", ".f", "b"])).map("".join)


@given(
    objects=st.dictionaries(KEYS, st.binary(max_size=3), max_size=12),
    prefixes=st.lists(FOLDERS, max_size=6),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_list_finds_what_a_list_for_each_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objects: dict[str, bytes], prefixes: list[str]
) -> None:
    locations = [f"s3://bucket/{prefix}" for prefix in prefixes]
    apart, together = Bucket(objects), Bucket(objects)
    monkeypatch.setattr(files, "_LISTED_APART", 100)
    expected = keys_and_contents(Files(tmp_path / "apart").below(apart, locations))
    monkeypatch.setattr(files, "_LISTED_APART", 0)
    assert keys_and_contents(Files(tmp_path / "together").below(together, locations)) == expected
    assert len(apart.listed) == len(locations)
    assert len(together.listed) == min(1, len(locations))


def test_a_caller_who_may_not_list_the_shared_folder_lists_each(tmp_path: Path) -> None:
    prefixes = [f"table/dt={number}/" for number in range(20)]
    bucket = Bucket({f"{prefix}x": prefix.encode() for prefix in prefixes}, denied=("table/",))
    found = Files(tmp_path).below(bucket, [f"s3://bucket/{prefix}" for prefix in prefixes])
    assert keys_and_contents(found) == [[(f"{prefix}x", prefix.encode())] for prefix in prefixes]
    assert bucket.listed == ["table/", *prefixes]
    denied = Bucket({}, denied=("table/", *prefixes))
    with pytest.raises(Unreadable, match="PERMISSION_DENIED"):
        Files(tmp_path).below(denied, [f"s3://bucket/{prefix}" for prefix in prefixes])


def test_the_oldest_copies_go_when_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.settings, "ATHENA_CACHE_BYTES", 25)
    bucket = Bucket({f"t/{number}": bytes([number]) * 10 for number in range(5)})
    stored = Files(tmp_path)
    for _ in range(2):
        for number in range(5):
            [[one]] = stored.below(Bucket({f"t/{number}": bucket.objects[f"t/{number}"]}), ["s3://bucket/t/"])
            assert Path(one["path"]).read_bytes() == bucket.objects[f"t/{number}"]
            assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 25
