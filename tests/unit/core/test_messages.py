"""The chunk message: what it says survives the queue, and what is no chunk message is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_pipeline.events.messages import ChunkMessage, MalformedMessage
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.objects.keys import dataset_of

REF = ObjectRef("b", "bronze/flights/a b+c=ü.jsonl", "v1", "e1", 100)
MESSAGE = ChunkMessage(REF, REF.as_origin(), "flights", Chunk(0, 0, 100, 1))


def test_a_message_survives_the_queue() -> None:
    assert ChunkMessage.from_json(MESSAGE.to_json()) == MESSAGE


@given(st.text(), st.text(min_size=1), st.text())
def test_the_origin_survives_s3_metadata(bucket: str, key: str, etag: str) -> None:
    origin = Origin(bucket or "b", key, etag or "e", "v")
    metadata = origin.to_metadata()
    assert metadata["sluice-origin-key"].isascii()
    assert Origin.from_metadata(metadata) == origin


def test_an_ordinary_object_has_no_origin_in_its_metadata() -> None:
    assert Origin.from_metadata({"author": "me"}) is None


def test_the_same_place_and_bytes_are_the_same_object_whatever_the_version() -> None:
    again = ObjectRef(REF.bucket, REF.key, "v2", REF.etag, REF.size)
    assert again.as_origin().object_id == REF.as_origin().object_id
    assert len(REF.as_origin().object_id) == 32


@pytest.mark.parametrize(
    "body",
    ["", "no json", "[]", "{}", '{"schema":"other"}', json.dumps(json.loads(MESSAGE.to_json()) | {"dataset": 5})]
    + [
        json.dumps(json.loads(MESSAGE.to_json()) | {"chunk": chunk})
        for chunk in (
            None,
            {"index": 1, "start": 0, "end": 100, "count": 1},
            {"index": 0, "start": -1, "end": 100, "count": 1},
            {"index": 0, "start": 0, "end": 101, "count": 1},
            {"index": 0, "start": 9, "end": 3, "count": 1},
            {"index": True, "start": 0, "end": 100, "count": 1},
        )
    ],
)
def test_what_is_no_chunk_message_is_refused(body: str) -> None:
    with pytest.raises(MalformedMessage):
        ChunkMessage.from_json(body)


@pytest.mark.parametrize(
    ("key", "dataset"),
    [
        ("bronze/flights/2013/01.jsonl", "flights"),
        ("bronze/flights/", "flights"),
        ("bronze/flights", None),
        ("silver/flights/a", None),
        ("bronze//a", None),
        ("", None),
    ],
)
def test_the_dataset_is_the_first_folder_below_bronze(key: str, dataset: str | None) -> None:
    assert dataset_of(key) == dataset
