"""Files as they really come (fixtures/cases.py), all at once: exactly the right rows in silver and quarantine."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures import cases
from fixtures.cases import Case
from tests.support.changes import timeouts
from tests.support.pipeline import Pipeline, Put

ALL = cases.all_cases()
IDENTITY = {"shipments": "shipment_id", "erp": "id"}
DEADLINE = 240.0


def became(pipe: Pipeline, case: Case, put: Put, silver: list[str], quarantine: list[str]) -> Any:
    """What the pipeline made of a file, in the form in which the case says it."""
    item = pipe.entry(put).item
    if item["state"] != "committed":
        return item["state"], item.get("failed_reason")
    pipe_rows = pipe.rows(put, silver)
    good = tuple(str(row[IDENTITY[case.dataset]]) for row in pipe_rows)
    rejected = pipe.quarantined(put, quarantine)
    errors = [[(error["reason"], error["field"]) for error in row["errors"]] for row in rejected]
    bad = tuple(
        right if right in found else tuple(found) for right, found in zip(case.bad, errors, strict=False)
    ) + tuple(map(tuple, errors[len(case.bad) :]))
    counts = tuple(int(item[name]) for name in ("rows_in", "rows_silver", "rows_quarantined"))
    return good, bad, counts


@pytest.mark.slow
def test_every_file_of_the_cases_becomes_the_rows_that_it_should(pipe: Pipeline) -> None:
    with timeouts(pipe, transform=30):  # it is about rows, and hundreds of files at once may have a busy machine
        puts = {case.name: pipe.put(case.dataset, case.body, case.key.split("/", 2)[2]) for case in ALL}
        pipe.wait(*puts.values(), deadline=DEADLINE)
    failed = [puts[case.name] for case in ALL if case.failed]
    taken = [
        put
        for output in ("ingest_dlq_url", "chunk_dlq_url")
        for put in pipe.receive_messages_about(*failed, output=output)
    ]
    assert sorted(put.ref.key for put in taken) == sorted(put.ref.key for put in failed)
    silver, quarantine = pipe.keys("silver"), pipe.keys("quarantine")
    wrong = {}
    for case in ALL:
        right: Any = ("failed", case.failed)
        if not case.failed:
            right = (case.good, case.bad, (len(case.good) + len(case.bad), len(case.good), len(case.bad)))
        if (found := became(pipe, case, puts[case.name], silver, quarantine)) != right:
            wrong[case.name] = found
    assert wrong == {}
    pipe.verified(pipe.key("shipments", ""), pipe.key("erp", ""))
