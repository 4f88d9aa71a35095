"""audit: a staged object in; a verdict and a page out, and nothing for a run that waits for none."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from quality.audit.page import page_of
from quality.verdict import Verdict, page_key, verdict_key
from sluice_pipeline.catalog.datasets import Catalog, Dataset
from sluice_pipeline.dynamo.values import typed
from sluice_pipeline.requests import InvalidRequest
from tests.support.expected import ARRIVED, dataset_of, silver_of_rows
from tests.support.handlers import RULES, Context, ProjectDatasets, loaded, metrics

OBJECT_ID = "7f1fb2a60dcd5e0ca4a659c5f0a3f7a1"
EXPECTATIONS: dict[str, Any] = {
    "some": {"min_rows": 1, "hard": True},
    "starred": {"field": "stars", "min": 1, "max": 5, "hard": True},
    "named": {"field": "name", "not_null": True},
}
HOSTILE = '<script>alert("1")</script>'


def row(**values: Any) -> dict[str, Any]:
    return {"at": ARRIVED} | dict.fromkeys(("name", "stars", "weight", "price", "paid", "day", "more")) | values


GOOD = [row(name="a", stars=1), row(name="b", stars=5)]
BAD = [row(name="a", stars=0), row(stars=7), *GOOD]


def catalog_of(*datasets: Dataset) -> Catalog:
    return Catalog({dataset.name: dataset for dataset in datasets})


class Function:
    """The handler over a ledger and buckets that a test fills."""

    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self._module = module
        self.s3, self.dynamodb = clients["s3"], clients["dynamodb"]
        self.bodies: dict[tuple[str, str], bytes] = {}
        self.written: dict[str, dict[str, Any]] = {}
        self.s3.get_object.side_effect = self._get
        self.s3.put_object.side_effect = lambda **call: self.written.update({call["Key"]: call})

    def _get(self, **call: str) -> dict[str, Any]:
        place = call["Bucket"], call["Key"]
        if place not in self.bodies:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.bodies[place])}

    def stage(self, values: list[dict[str, Any]], *, dataset: str = "things", chunks: int = 1, **item: Any) -> None:
        """An object whose rows are in a file for each chunk."""
        rules = catalog_of(dataset_of(EXPECTATIONS))
        self._module.auditor._datasets = ProjectDatasets(rules)
        silver = silver_of_rows(rules.datasets["things"], values, chunks)
        items = []
        for number, file in enumerate(silver.rows.files):
            key = f"silver/things/dt=2026-03-01/{OBJECT_ID}-{number:05d}.parquet"
            self.bodies["staging-b", f"staged/00001/{key}"] = silver.bodies[file.key]
            output = {"key": key, "dataset": "things", "dt": "2026-03-01", "rows": file.rows, "bytes": 1}
            items.append(self.chunk(number, [output]))
        self.ledger(items or [self.chunk(0, [])], dataset=dataset, **item)

    @staticmethod
    def chunk(number: int, outputs: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        found = {"pk": "object#", "sk": f"chunk#{number:05d}", "run": 1, "chunk_state": "done", "outputs": outputs}
        return found | {"staged": True} | more

    def ledger(self, chunks: list[dict[str, Any]], **item: Any) -> None:
        found = {
            "object_id": OBJECT_ID, "run": 1, "state": "staged", "dataset": "things", "rules": RULES.to_dict(),
            "received_at": "2026-03-01T12:00:00.000Z", "key": "bronze/things/a.jsonl",
        } | item  # fmt: skip
        self.dynamodb.get_item.side_effect = lambda **_: {"Item": typed(found)} if found["object_id"] else {}
        self.dynamodb.get_paginator.return_value.paginate.return_value = [{"Items": [typed(one) for one in chunks]}]

    def audit(self, run: Any = 1, object_id: str = OBJECT_ID) -> dict[str, Any]:
        answer: dict[str, Any] = self._module.handler({"object_id": object_id, "run": run}, Context())
        return answer

    def verdict(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.written[verdict_key(OBJECT_ID, 1)]["Body"])
        return found

    def page(self) -> str:
        body: bytes = self.written[page_key("things", OBJECT_ID, 1)]["Body"]
        return body.decode()


@pytest.fixture
def function() -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb")}
    settings = {"STAGING_BUCKET": "staging-b", "QUALITY_BUCKET": "quality-b"}
    with loaded("quality.audit.handler", settings=settings, **clients) as module:
        yield Function(module, clients)


def test_a_verdict_names_each_expectation_with_its_failed_rows(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.stage(BAD, chunks=2)
    assert function.audit() == {"object_id": OBJECT_ID, "run": 1, "outcome": "audited", "passed": False}
    verdict = function.verdict()
    assert {name: verdict[name] for name in ("object_id", "run", "dataset", "engine", "passed", "rows", "rules")} == {
        "object_id": OBJECT_ID, "run": 1, "dataset": "things", "engine": "pyarrow", "passed": False, "rows": 4,
        "rules": RULES.sha256,
    }  # fmt: skip
    named, some, starred = verdict["datasets"]["things"]["expectations"]
    assert (named["passed"], named["hard"], named["rows"], named["failed"]) == (False, False, 4, 1)
    assert named["samples"] == [{"record_id": "row-1", "value": None}]
    assert (some["passed"], some["observed"], some["expected"]) == (True, "4 rows", "at least 1 row")
    assert starred == {
        "name": "starred", "expectation": "expect_column_values_to_be_between", "expected": "stars is 1 to 5",
        "field": "stars", "hard": True, "mostly": 1.0, "passed": False, "rows": 4, "failed": 2, "observed": "",
        "samples": [{"record_id": "row-0", "value": "0"}, {"record_id": "row-1", "value": "7"}],
    }  # fmt: skip
    found = Verdict.from_json(function.written[verdict_key(OBJECT_ID, 1)]["Body"], OBJECT_ID, 1)
    assert [one.expectation["name"] for one in found.broken] == ["starred", "named"]
    assert metrics(capsys.readouterr().out) == {"RowsAudited": 4, "AuditsFailed": 1}


def test_only_a_hard_expectation_fails_an_object(function: Function) -> None:
    function.stage([*GOOD, row(stars=3)])
    assert function.audit()["passed"] is True
    assert not function.verdict()["datasets"]["things"]["expectations"][0]["passed"]


def test_a_repeat_writes_the_same_verdict_but_for_the_time(function: Function) -> None:
    function.stage(BAD)
    function.audit()
    first = function.verdict()
    function.audit()
    assert first | {"audited_at": ""} == function.verdict() | {"audited_at": ""}


def test_an_object_without_a_row_is_held_against_its_dataset(function: Function) -> None:
    function.stage([])
    assert function.audit()["passed"] is False
    [some] = [one for one in function.verdict()["datasets"]["things"]["expectations"] if one["name"] == "some"]
    assert (some["passed"], some["observed"]) == (False, "0 rows")


def test_a_mixed_object_is_held_against_the_datasets_of_its_rows(function: Function) -> None:
    function.stage(GOOD, dataset="mixed")
    assert function.audit()["passed"] is True
    assert list(function.verdict()["datasets"]) == ["things"]
    function.stage([], dataset="mixed")
    assert function.audit()["passed"] is True
    assert function.verdict()["datasets"] == {}


def test_files_that_were_written_to_silver_are_read_there(function: Function) -> None:
    function.stage(BAD)
    ((staged, body),) = function.bodies.items()
    key = staged[1].removeprefix("staged/00001/")
    function.bodies = {("silver-b", key): body}
    output = {"key": key, "dataset": "things", "dt": "2026-03-01", "rows": 4, "bytes": 1}
    function.ledger([function.chunk(0, [output], staged=False)])
    assert function.audit()["passed"] is False


@pytest.mark.parametrize(
    ("item", "outcome"),
    [
        ({"state": "committed"}, "committed"),
        ({"state": "failed"}, "failed"),
        ({"run": 2}, "replaced"),
        ({"run": 2, "state": "planned"}, "replaced"),
    ],
)
def test_a_run_that_waits_for_no_verdict_gets_none(function: Function, item: dict[str, Any], outcome: str) -> None:
    function.stage(BAD, **item)
    assert function.audit()["outcome"] == outcome
    assert function.written == {}


def test_a_withheld_run_can_be_audited_again(function: Function) -> None:
    function.stage(GOOD, state="withheld")
    assert function.audit()["outcome"] == "audited"


@pytest.mark.parametrize("item", [{"state": "committing"}, {"state": "planned"}, {"object_id": ""}])
def test_a_run_that_is_not_staged_yet_is_tried_again(function: Function, item: dict[str, Any]) -> None:
    function.stage(GOOD, **item)
    with pytest.raises(RuntimeError, match="does not say yet that run 1"):
        function.audit()
    assert function.written == {}


def test_a_newer_run_of_a_chunk_ends_the_audit(function: Function) -> None:
    function.stage(GOOD)
    function.ledger([function.chunk(0, [], run=2)])
    with pytest.raises(RuntimeError, match="is in another run than 1"):
        function.audit()
    assert function.written == {}


def test_a_file_that_is_gone_is_no_verdict(function: Function) -> None:
    function.stage(GOOD)
    function.bodies.clear()
    with pytest.raises(ClientError):
        function.audit()
    assert function.written == {}


@pytest.mark.parametrize("request_", [{"run": 0}, {"run": "1"}, {"run": True}, {"object_id": "x"}])
def test_a_wrong_request_is_refused(function: Function, request_: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="is not") as raised:
        function.audit(**request_)
    assert type(raised.value).__name__ == InvalidRequest.__name__


# -- the page --------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_shows_the_verdict_and_needs_no_network(function: Function) -> None:
    function.stage(BAD)
    function.audit()
    page = Page(function.page())
    assert function.written[page_key("things", OBJECT_ID, 1)]["ContentType"] == "text/html; charset=utf-8"
    for text in ("starred", "stars is 1 to 5", "row-0", "7", "no value", "expect_column_values_to_be_between"):
        assert text in page.text
    assert {"script", "link", "img", "iframe"}.isdisjoint(page.tags)
    assert {"src", "href"}.isdisjoint(name for name, _ in page.attributes)


def test_a_page_escapes_whatever_a_file_holds(function: Function) -> None:
    function.stage([row(name=HOSTILE, stars=1)], key=f"bronze/things/{HOSTILE}.jsonl")
    function.audit()
    verdict = function.verdict()
    for expectation in verdict["datasets"]["things"]["expectations"]:
        for name in ("name", "expectation", "expected", "observed"):
            expectation[name] = HOSTILE
        expectation["samples"] = [{"record_id": HOSTILE, "value": HOSTILE}]
    page = page_of(verdict | {"engine": HOSTILE, "rules": HOSTILE, "dataset": HOSTILE})
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 10
    assert re.search(r"<title>&lt;script", page)
