"""What an object is, by its first bytes; gzip that is cut, broken or a bomb."""

import gzip

import pytest

from sluice_pipeline.objects.failures import Failure, ObjectFailed
from sluice_pipeline.objects.formats import Format, detect, gunzip, require_text

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("key", "head", "expected"),
    [
        ("a.jsonl", b'{"a":1}\n{"a":2}\n', Format.JSONL),
        ("a.json", b'{"a":1}\n{"a":2}\n', Format.JSONL),
        ("a.json", b'{"a":1}', Format.JSONL),
        ("a.json", BOM + b'{"a":1}\n{"a":2}', Format.JSONL),
        ("a.json", b'[{"a":1}]', Format.DOCUMENT),
        ("a.json", BOM + b'\n [\n{"a":1}]', Format.DOCUMENT),
        ("a.json", b'{\n  "a": 1\n}\n', Format.DOCUMENT),
        ("a.json", b'{"a": 1,\n  "b": 2}\n', Format.DOCUMENT),
        ("a.json", b'{"broken\n{"a":2}\n', Format.JSONL),
        ("a.jsonl", b"{\n", Format.JSONL),
        ("a.jsonl.gz", b'{"a":1}\n', Format.JSONL),
        ("a.csv", b"a,b\n1,2\n", Format.CSV),
        ("A.CSV.gz", b"a,b\n1,2\n", Format.CSV),
        ("a", b"not json at all\n", Format.JSONL),
        ("a.jsonl", b"", Format.JSONL),
        ("a.jsonl", "{“key”: 1}\n".encode("latin-1", "ignore") + b'{"a": "caf\xe9"}\n', Format.JSONL),
    ],
)
def test_format_by_key_and_first_bytes(key: str, head: bytes, expected: Format) -> None:
    assert detect(key, head) == expected


@pytest.mark.parametrize("head", [b"PAR1\0\0", bytes(range(128, 256)) * 4, b"\x01\x02\x03\x04" * 50])
def test_bytes_that_are_no_text_are_unreadable(head: bytes) -> None:
    with pytest.raises(ObjectFailed) as failed:
        require_text("a.jsonl", head)
    assert failed.value.code == Failure.UNREADABLE


def test_gzip_of_several_members_and_padding_is_unpacked() -> None:
    assert gunzip(gzip.compress(b"one\n") + gzip.compress(b"two\n") + b"\0" * 8, 100).data == b"one\ntwo\n"
    assert gunzip(gzip.compress(b""), 100).data == b""


@pytest.mark.parametrize("kept", [5, 12, 20])
def test_truncated_gzip_and_broken_gzip_have_reasons_of_their_own(kept: int) -> None:
    with pytest.raises(ObjectFailed) as failed:
        gunzip(gzip.compress(b"some text that is long enough" * 9)[:kept], 10_000)
    assert failed.value.code == Failure.TRUNCATED_GZIP


def test_broken_gzip_is_unreadable() -> None:
    packed = bytearray(gzip.compress(b"some text that is long enough" * 9))
    packed[-6] ^= 0xFF  # the checksum
    with pytest.raises(ObjectFailed) as failed:
        gunzip(bytes(packed), 10_000)
    assert failed.value.code == Failure.UNREADABLE


@pytest.mark.parametrize("limit", [1, 999, 999_999])
def test_a_gzip_bomb_stops_at_the_limit(limit: int) -> None:
    with pytest.raises(ObjectFailed) as failed:
        gunzip(gzip.compress(b"0" * 1_000_000), limit)
    assert failed.value.code == Failure.OVER_LIMIT
    assert len(gunzip(gzip.compress(b"0" * 1_000_000), 1_000_000).data) == 1_000_000
