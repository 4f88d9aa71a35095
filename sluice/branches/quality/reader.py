"""Verdicts of the quality gate as the host reads them, and the two things that an operator asks of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from html import escape
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quality.gate.gathering import request_of
from quality.verdict import PAGES, RESULTS, page_key, verdict_key
from sluice.console import FAILED, fail
from sluice.paths import SLUICE_DIR
from sluice.pipeline import storage
from sluice.polling import poll
from sluice_pipeline.catalog.datasets import MIXED
from sluice_pipeline.ledger.items import State

if TYPE_CHECKING:
    from sluice.pipeline.ledger import Entry, Item
    from sluice.pipeline.stack import Stack

ENGINES = ("pyarrow", "great_expectations")
ARROW_MAX_ROWS = 1_000_000
_AT_ONCE = 20
_WAITING = frozenset({State.STAGED, State.WITHHELD})
_RUN_SECONDS = 3600.0

type Verdict = dict[str, Any]


def latest(stack: Stack, dataset: str = "", *, failed: bool = False, limit: int = 20) -> list[Verdict]:
    """The last verdict on each object, the newest first. ``failed``: only those that withheld it."""
    newest: dict[str, tuple[str, float]] = {}
    for key, _, at in storage.entries(stack.client("s3"), stack["quality_bucket"], RESULTS):
        object_id = key.removeprefix(RESULTS).partition("/")[0]
        newest[object_id] = max(newest.get(object_id, ("", 0.0)), (key, _seconds(at)))
    keys = [key for key, _ in sorted(newest.values(), key=lambda one: (-one[1], one[0]))]
    wanted = (one for one in _read(stack, keys) if (not dataset or _is_about(one, dataset)))
    return _first((one for one in wanted if not (failed and one["passed"])), limit)


def history(stack: Stack, dataset: str, limit: int = 50) -> list[Verdict]:
    """Every verdict on objects of a dataset, and on mixed ones with rows of it, the newest first."""
    keys: list[tuple[float, str]] = []
    for prefix in (f"{PAGES}{dataset}/", f"{PAGES}{MIXED}/"):
        for key, _, at in storage.entries(stack.client("s3"), stack["quality_bucket"], prefix):
            object_id, _, run = key.removeprefix(prefix).removesuffix(".html").rpartition("-")
            keys.append((-_seconds(at), verdict_key(object_id, int(run))))
    found = _read(stack, [key for _, key in sorted(keys)])
    return _first((one for one in found if _is_about(one, dataset)), limit)


def verdict(stack: Stack, name: str, run: int | None = None) -> Verdict:
    """The verdict on a run of an object (its id or the beginning of it), the last one without a run.

    Ends with code 1 when there is none, 2 when that is no object id.
    """
    object_id = _entry(stack, name).object_id
    prefix = f"{RESULTS}{object_id}/"
    if run is None:
        keys = sorted(storage.files(stack.client("s3"), stack["quality_bucket"], prefix))[-1:]
    else:
        keys = [verdict_key(object_id, run)]
    found = list(_read(stack, keys))
    if not found:
        of = f"run {run} of {object_id}" if run else object_id
        fail(f"there is no verdict on {of}: see sluice runs {object_id}", FAILED)
    return found[0]


def not_met(found: Verdict) -> list[tuple[str, Verdict]]:
    """The expectations that do not hold, with their dataset, hard ones first."""
    entries = [(name, one) for name, one in expectations(found) if not one["passed"]]
    return sorted(entries, key=lambda entry: not entry[1]["hard"])


def expectations(found: Verdict) -> Iterator[tuple[str, Verdict]]:
    """Each expectation with the dataset that it is of."""
    for name, part in sorted(found["datasets"].items()):
        yield from ((name, one) for one in part["expectations"])


# -- pages -----------------------------------------------------------------------------------------------------------


def save_page(stack: Stack, found: Verdict, folder: Path | None = None) -> Path:
    """Copies a verdict's page to this machine. Ends with code 1 when the page is gone."""
    key = page_key(found["dataset"], found["object_id"], int(found["run"]))
    s3 = stack.client("s3")
    try:
        body = s3.get_object(Bucket=stack["quality_bucket"], Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        fail(f"there is no page s3://{stack['quality_bucket']}/{key}", FAILED)
    path = (folder or SLUICE_DIR / "quality") / key.removeprefix(PAGES)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def save_index(stack: Stack, verdicts: Iterable[Verdict], folder: Path | None = None) -> Path:
    """Copies these verdicts' pages, and writes a page that links them."""
    folder = folder or SLUICE_DIR / "quality"
    lines = []
    for found in verdicts:
        path = save_page(stack, found, folder).relative_to(folder)
        what = f"{found['dataset']} {found['object_id']}, run {found['run']}, {found['audited_at']}"
        result = "passed" if found["passed"] else "failed"
        lines.append(f'<li><a href="{escape(path.as_posix())}">{escape(what)}</a>: {result}</li>')
    index = folder / "index.html"
    title = "Verdicts of the quality gate"
    index.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1>\n<ul>\n{chr(10).join(lines)}\n</ul></body></html>\n"
    )
    return index


# -- what an operator asks -------------------------------------------------------------------------------------------


def audit(stack: Stack, name: str, engine: str = "", seconds: float = _RUN_SECONDS) -> dict[str, Any]:
    """Has an object that waits, or was withheld, audited again, and published when it passes; waits for the end.

    Ends with code 1 when the object is in another state.
    """
    item = _waiting(stack, name)
    object_id, run = str(item["object_id"]), int(item["run"])
    if engine and engine not in ENGINES:
        fail(f"{engine!r} is no engine; there are {', '.join(ENGINES)}")
    engine = engine or ENGINES[int(item["rows_silver"]) > ARROW_MAX_ROWS]
    states = stack.client("stepfunctions")
    execution = f"quality-by-hand-{uuid.uuid4().hex}"
    arn = states.start_execution(
        stateMachineArn=stack["quality_state_machine_arn"],
        name=execution,
        input=request_of(engine, [(object_id, run)]),
    )["executionArn"]
    ended = poll(lambda: states.describe_execution(executionArn=arn), _has_ended, seconds=seconds, interval=0.5)
    if not ended.done:
        fail(f"{execution} has not ended after {seconds:.0f} s and goes on: see sluice runs {object_id}", FAILED)
    return _outcome(stack, object_id, run) | {
        "engine": engine, "execution": execution, "status": ended.value["status"],
    }  # fmt: skip


def release(stack: Stack, name: str, reason: str) -> dict[str, Any]:
    """Publishes a withheld object as it is. Ends with code 1 when it is not withheld, or cannot be published."""
    item = _waiting(stack, name)
    if not reason.strip():
        fail("--reason is empty: say why these rows may be seen, the ledger records it")
    request = {"object_id": str(item["object_id"]), "run": int(item["run"]), "release": reason.strip()}
    answer = stack.client("lambda", read_timeout=900).invoke(
        FunctionName=stack["quality_publish_function"], Payload=json.dumps(request).encode(), **stack.in_service
    )
    done: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        fail(f"not released: {done.get('errorMessage', done)}; see sluice logs quality-publish", FAILED)
    return done


def _entry(stack: Stack, name: str) -> Entry:
    from sluice.pipeline import runs
    from sluice.pipeline.ledger import LedgerView

    return runs.one(LedgerView.of(stack), name)


def _waiting(stack: Stack, name: str) -> Item:
    item = _entry(stack, name).item
    if item["state"] not in _WAITING:
        fail(f"{name} is {item['state']}: only an object that is staged or withheld waits for the gate", FAILED)
    return item


def _outcome(stack: Stack, object_id: str, run: int) -> dict[str, Any]:
    item = _entry(stack, object_id).item
    state = item["state"] if int(item["run"]) == run else "replaced"
    error = str(item.get("error", "")) if state != State.COMMITTED else ""
    return {"object_id": object_id, "run": run, "state": str(state), "error": error}


def _has_ended(found: dict[str, Any]) -> bool:
    return bool(found["status"] != "RUNNING")


# -- reading ---------------------------------------------------------------------------------------------------------


def _read(stack: Stack, keys: Iterable[str]) -> Iterator[Verdict]:
    """Verdicts in the order of their keys; those that are gone are left out. A few at a time, as they are asked for."""
    s3, bucket = stack.client("s3"), stack["quality_bucket"]

    def body(key: str) -> Verdict | None:
        try:
            found: Verdict = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except Exception as error:
            if not storage.gone(error):
                raise
            return None
        return found

    for some in batched(keys, _AT_ONCE, strict=False):
        yield from (found for found in storage.in_parallel(body, some) if found)


def _first(verdicts: Iterable[Verdict], limit: int) -> list[Verdict]:
    found = []
    for one in verdicts:
        found.append(one)
        if len(found) >= limit:
            break
    return found


def _is_about(found: Verdict, dataset: str) -> bool:
    return bool(found["dataset"] == dataset or dataset in found["datasets"])


def _seconds(at: datetime | None) -> float:
    return (at or datetime.fromtimestamp(0, UTC)).timestamp()
