"""Bad rows as JSON lines: where each stood, what is wrong with it, and its raw text; the same rows, the same bytes."""

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from core.transform.rows import BadRow
from sluice_pipeline.ledger.items import QuarantineFile
from sluice_pipeline.objects.identity import Origin
from sluice_pipeline.objects.keys import quarantine_key


def quarantine_files(bad: Iterable[BadRow], origin: Origin, chunk: int) -> Iterator[tuple[QuarantineFile, bytes]]:
    """One file for each dataset, rows in the order of the source."""
    by_dataset: dict[str, list[BadRow]] = defaultdict(list)
    for row in sorted(bad, key=lambda row: row.offset):
        by_dataset[row.dataset].append(row)
    for dataset, rows in sorted(by_dataset.items()):
        body = "".join(json.dumps(_entry(row, origin), ensure_ascii=False) + "\n" for row in rows)
        key = quarantine_key(dataset, origin.object_id, chunk)
        yield QuarantineFile(key=key, dataset=dataset, rows=len(rows)), body.encode()


def _entry(row: BadRow, origin: Origin) -> dict[str, Any]:
    first = row.errors[0]
    return {
        "record_id": f"{origin.object_id}-{row.offset}",
        "object_id": origin.object_id,
        "dataset": row.dataset,
        "source_key": origin.key,
        "source_version": origin.version_id,
        "offset": row.offset,
        "length": len(row.raw),
        "field": first.field,
        "reason": first.reason,
        "errors": [error._asdict() for error in row.errors],
    } | _raw(row.raw)


def _raw(raw: bytes) -> dict[str, str]:
    try:
        return {"raw": raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(raw).decode("ascii")}
