"""The ledger's kinds of items, defined once: an object, and a chunk of it; files.py has the pages of a chunk's files.

Table: hash key ``pk`` = ``object#<object_id>``, range key ``sk`` = ``object`` or ``chunk#<number>`` (see chunk_sk).
Only object items have the attributes of the indexes (shards.py), so chunks never show up in them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypedDict, cast

OBJECT_SK: Final = "object"
CHUNK: Final = "chunk#"
EXPIRED_AT: Final = "expired_at"
"""Of an object's item: when it expired (Unix time, s). From then on no reader knows the object."""
EXPIRES_AT: Final = "expires_at"
"""The table's time to live (Unix time, s): DynamoDB deletes the item some days later. See expiry.py."""
ERROR_CHARACTERS: Final = 1000
"""Of an error's text in an item."""
_FIVE_DIGITS: Final = 99_999


class State(StrEnum):
    """planned -> committing -> committed; failed and missing objects can still be ingested after a repair.

    A gated object: planned -> committing -> staged -> committed or withheld. A withheld one can be released.
    """

    PLANNED = "planned"
    COMMITTING = "committing"  # every chunk is done, the event is being sent
    STAGED = "staged"  # its rows wait in the staging bucket for their audit
    COMMITTED = "committed"
    FAILED = "failed"
    MISSING = "missing"
    WITHHELD = "withheld"  # its rows failed a hard expectation and stay in the staging bucket


FINAL: Final = frozenset({State.COMMITTED, State.FAILED, State.MISSING, State.WITHHELD})
"""A run that is in one of these states has ended."""


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
    """Rows that earlier runs rejected and this run accepted after a rule was fixed; ``reasons`` as they had been."""

    at: str
    run: int
    rows: int
    reasons: dict[str, int]


class Released(TypedDict):
    """A withheld run that an operator published all the same; ``reason`` is the operator's."""

    at: str
    reason: str


class FormerRun(TypedDict, total=False):
    """A run that a newer one has replaced, as it was then: one that had not ended has the counts of its done chunks.

    ``rules``: the sha256 of the version that it was judged by. ``replay``: the request that it ran in the name of.
    """

    run: int
    state: str
    failed_reason: str
    began_at: str
    ended_at: str
    rules: str
    replay: str
    rows_in: int
    rows_silver: int
    rows_quarantined: int


class ObjectItem(TypedDict, total=False):
    """``rules``: the version that the present run is judged by, as ``RulesVersion.to_dict``; none before 0.2.

    ``began_at``: when the present run began; none for the first run, which began at ``received_at``.
    ``former_runs``: the last ones before it, the oldest first.
    ``newest``: the version that was announced last with the object's bytes, as an ObjectRef; none for the first upload.
    ``notice_due``: the failure is recorded, and its notice is not known to have been sent.
    ``gate_run``, ``gate_execution``: the last run that the quality gate took, and the execution that audits it.
    ``released``: the present run was withheld, and published by an operator.
    ``expired_at``, ``expires_at``: it has expired, and all that belongs to it is marked, see expiry.py.
    ``open_in``, ``committed_in``, ``received_in``: in which indexes it is, see shards.py.
    """

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
    rules: dict[str, str]
    replay: str
    began_at: str
    former_runs: list[FormerRun]
    quarantine_resolved: list[Resolved]
    received_at: str
    updated_at: str
    committed_at: str
    error: str
    failed_reason: str
    newest: dict[str, str | int]
    notice_due: bool
    gate_run: int
    gate_execution: str
    released: Released
    loaded_run: int
    loaded_rows: int
    loaded_batch: str
    loaded_at: str
    load_error: str
    open_in: str
    committed_in: str
    received_in: str
    expired_at: int
    expires_at: int


class ChunkItem(TypedDict, total=False):
    """``staged``: ``outputs`` were written to the staging bucket, as `staged_key` says; silver has them once the
    object's run is committed. ``content_id``, of the first chunk: which content item names the object, if one does.
    """

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
    files_run: int
    files_pages: int
    staged: bool
    done_at: str
    error: str
    content_id: str
    expires_at: int


def object_pk(object_id: str) -> str:
    return f"object#{object_id}"


def is_gone(item: Mapping[str, Any]) -> bool:
    """Whether an item belongs to an object that has expired; DynamoDB may not have deleted it yet."""
    return EXPIRED_AT in item or EXPIRES_AT in item


def chunk_sk(index: int) -> str:
    """Sort keys in the order of the chunks: 5 digits, and from 100,000 on ``~`` (after every digit) and 10 digits."""
    return f"{CHUNK}{index:05d}" if index <= _FIVE_DIGITS else f"{CHUNK}~{index:010d}"


def chunk_number(sk: str) -> int:
    """The inverse of chunk_sk."""
    return int(sk.removeprefix(CHUNK).removeprefix("~"))


def present_run(item: ObjectItem) -> FormerRun:
    """What the object's item says of its present run; what it does not know is left out."""
    known = {
        "state": item.get("state"),
        "failed_reason": item.get("failed_reason"),
        "began_at": item.get("began_at") or item.get("received_at"),
        "ended_at": item.get("committed_at") or item.get("updated_at"),
        "rules": item.get("rules", {}).get("sha256"),
        "replay": item.get("replay"),
    }
    run = FormerRun(
        run=int(item["run"]),
        rows_in=int(item.get("rows_in") or 0),
        rows_silver=int(item.get("rows_silver") or 0),
        rows_quarantined=int(item.get("rows_quarantined") or 0),
    )
    return cast("FormerRun", {name: value for name, value in known.items() if value} | run)
