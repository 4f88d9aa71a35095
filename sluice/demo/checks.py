"""Gathers what the pipeline made of the demo's input, and holds it against what had to come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sluice.demo.inputs import QUESTIONS, Input, source_tables
from sluice.pipeline import query as querying
from sluice.pipeline import queues, storage
from sluice.pipeline import verify as verifying
from sluice.pipeline.branches import CORE, Branches
from sluice.pipeline.ledger import Entry, LedgerView
from sluice.pipeline.query import Result
from sluice.pipeline.seed import Uploaded
from sluice.pipeline.verify import Report
from sluice_pipeline.ledger.items import State

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack


@dataclass(frozen=True)
class Check:
    """One number (or word) that had to come out."""

    what: str
    expected: Any
    found: Any

    @property
    def ok(self) -> bool:
        return bool(self.expected == self.found)


@dataclass(frozen=True)
class Answer:
    """A question answered from silver and from the source."""

    title: str
    silver: Result
    source: Result


@dataclass(frozen=True)
class Evidence:
    """All that was found of one run."""

    entries: Mapping[str, Entry]
    """Ledger entries by bronze key."""
    report: Report
    rejected: Sequence[Mapping[str, Any]]
    """Quarantine rows of the mixed feed."""
    dead_letters: Mapping[str, int]
    """Dead-letter messages by the key they name."""
    silver_rows: Mapping[str, int]
    """Rows in silver by dataset, counted in the files."""
    answers: Sequence[Answer]


def gather(stack: Stack, given: Input, uploaded: Sequence[Uploaded]) -> Evidence:
    """Reads ledger, silver, quarantine and dead-letter messages of this run."""
    ledger = LedgerView.of(stack)
    found = [ledger.one(item.object_id) for item in uploaded]
    entries = {entry.key: entry for entry in found if entry is not None}
    mixed = entries.get(given.mixed.key)
    s3, quarantine = stack.client("s3"), stack["quarantine_bucket"]
    rejected = [
        row
        for key in (mixed.files("quarantine") if mixed else {})
        for row in storage.quarantine_rows(s3, quarantine, key)
    ]
    # Read once, asked several times.
    files = querying.silver(stack, {item.object_id for item in uploaded})
    silver = {name: dataset.to_table() for name, dataset in files.items()}
    return Evidence(
        entries=entries,
        report=verifying.verify(stack, prefixes=given.prefixes),
        rejected=rejected,
        dead_letters=_dead_letters(stack, {item.key for item in uploaded}),
        silver_rows={name: table.num_rows for name, table in silver.items()},
        answers=_answers(silver, source_tables(given.months)),
    )


def _answers(silver: Mapping[str, Any], source: Mapping[str, Any]) -> list[Answer]:
    if "flights" not in silver:
        return []
    return [Answer(q.title, querying.run(silver, q.sql), querying.run(source, q.sql)) for q in QUESTIONS]


def _dead_letters(stack: Stack, keys: set[str]) -> Counter[str]:
    sqs = stack.client("sqs")
    own = [queue for queue in Branches.of(stack).queues.values() if queue.branch == CORE]
    bodies = [body for queue in own for body in queues.peek(sqs, queue.dlq_url)]
    return Counter(key for body in bodies for key in queues.keys_named(body) & keys)


def checks(given: Input, evidence: Evidence, duplicate: str) -> list[Check]:
    """Everything that has to be right; ``duplicate`` is the key whose event was delivered twice."""
    states = Counter(entry.state for entry in evidence.entries.values())
    result = [
        Check("objects committed", len(given.flights) + 1, states[State.COMMITTED]),
        Check("flights: rows in silver", given.flights_rows, evidence.silver_rows.get("flights", 0)),
    ]
    for name, count in given.feed.good.items():
        result.append(Check(f"{name}: rows in silver", count, evidence.silver_rows.get(name, 0)))
    result += _rejected_checks(given, evidence)
    result += _duplicate_checks(given, evidence, duplicate)
    poison = evidence.entries.get(given.poison.key)
    verdict = f"{poison.state}: {poison.item.get('failed_reason')}" if poison else "not in the ledger"
    result += [
        Check("poison object: state in the ledger", "failed: unreadable", verdict),
        Check(
            "dead-letter messages: the poison object's, no other", {given.poison.key: 1}, dict(evidence.dead_letters)
        ),
        Check("messages left in the chunk queue", 0, evidence.report.queues["chunks"].total),
        Check("differences found by verify", 0, len(evidence.report.differences)),
    ]
    for number, answer in enumerate(evidence.answers, 1):
        result.append(Check(f"query {number}: silver answers as the source", answer.source.rows, answer.silver.rows))
    if not evidence.answers:
        result.append(Check("queries answered", len(QUESTIONS), 0))
    return result


def _rejected_checks(given: Input, evidence: Evidence) -> list[Check]:
    """Each bad line is rejected for its reason, at its byte, with its text; nothing else is."""
    found = Counter(str(row["reason"]) for row in evidence.rejected)
    expected = given.feed.reasons
    result = [
        Check(f"rejected: {reason}", expected[reason], found[reason]) for reason in sorted(expected.keys() | found)
    ]
    planted = {(line.offset, line.reason, line.raw.decode()) for line in given.feed.bad}
    rejected = {(int(row["offset"]), str(row["reason"]), str(row.get("raw"))) for row in evidence.rejected}
    result.append(Check("rejected rows with the right byte offset and text", len(planted), len(planted & rejected)))
    return result


def _duplicate_checks(given: Input, evidence: Evidence, duplicate: str) -> list[Check]:
    twice = evidence.entries.get(duplicate)
    rows = next(item.rows for item in given.flights if item.key == duplicate)
    row = next((row for row in evidence.report.objects if row.key == duplicate), None)
    return [
        Check("delivered twice: rows in silver", rows, row.silver if row else None),
        Check("delivered twice: times it was ingested", 1, twice.number("run") if twice else None),
    ]


def to_dict(evidence: Evidence, found: Sequence[Check]) -> dict[str, Any]:
    """For --json."""
    return {
        "ok": all(check.ok for check in found),
        "checks": [asdict(check) | {"ok": check.ok} for check in found],
        "silver_rows": dict(evidence.silver_rows),
        "queries": [{"title": answer.title, "rows": answer.silver.to_dicts()} for answer in evidence.answers],
        "verify": evidence.report.to_dict(),
    }
