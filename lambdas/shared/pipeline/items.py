"""The ledger's two kinds of items, defined once: an object, and a chunk of it.

Table: hash key ``pk`` = ``object#<object_id>``, range key ``sk`` = ``object`` or ``chunk#<5 digits>``.
Only object items carry ``dataset`` + ``received_at`` (index ``by_dataset``) and ``state`` + ``updated_at``
(index ``by_state``), so chunks never show up in the indexes.
"""

from enum import StrEnum
from typing import Final, TypedDict

OBJECT_SK: Final = "object"


class State(StrEnum):
    """planned -> committing -> committed; failed and missing objects can still be taken in after a repair."""

    PLANNED = "planned"
    COMMITTING = "committing"  # every chunk is done, the event is being sent
    COMMITTED = "committed"
    FAILED = "failed"
    MISSING = "missing"


class ChunkState(StrEnum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class Output(TypedDict):
    """One silver object that a chunk wrote; bytes is its size."""

    key: str
    dataset: str
    dt: str
    rows: int
    bytes: int


class QuarantineFile(TypedDict):
    key: str
    dataset: str
    rows: int


class Resolved(TypedDict):
    """Rows of earlier runs' quarantine that a run took in after a rule was mended; ``reasons`` as they had been."""

    at: str
    run: int
    rows: int
    reasons: dict[str, int]


class ObjectItem(TypedDict, total=False):
    pk: str
    sk: str
    object_id: str
    state: str
    bucket: str
    key: str
    version_id: str
    etag: str
    size: int
    origin: dict[str, str]
    dataset: str
    chunk_count: int
    chunks_done: int
    committing_chunk: int
    rows_in: int
    rows_silver: int
    rows_quarantined: int
    silver_files: int
    silver_bytes: int
    run: int
    replay: str
    quarantine_resolved: list[Resolved]
    received_at: str
    updated_at: str
    committed_at: str
    error: str
    failed_reason: str
    loaded_run: int
    loaded_rows: int
    loaded_batch: str
    loaded_at: str
    load_error: str


class ChunkItem(TypedDict, total=False):
    pk: str
    sk: str
    chunk_state: str
    start: int
    end: int
    run: int
    rows_in: int
    rows_silver: int
    rows_quarantined: int
    outputs: list[Output]
    quarantine: list[QuarantineFile]
    done_at: str
    error: str


def object_pk(object_id: str) -> str:
    return f"object#{object_id}"


def chunk_sk(index: int) -> str:
    return f"chunk#{index:05d}"
