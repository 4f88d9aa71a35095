"""`sluice quality` without a stack: what it shows, what it asks for, and how an end becomes an exit code."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from quality.verdict import page_key, verdict_key
from sluice import cli
from sluice.pipeline import stack
from sluice_pipeline.dynamo.values import typed

cli.register_verbs()
GOOD, BAD, MIXED = ("0a" * 16, "0b" * 16, "0c" * 16)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def expectation(name: str, **more: Any) -> dict[str, Any]:
    found = {
        "name": name, "expectation": "expect_column_values_to_be_between", "expected": "stars is 1 to 5",
        "field": "stars", "hard": True, "mostly": 1.0, "passed": True, "rows": 4, "failed": 0, "observed": "",
        "samples": [],
    }  # fmt: skip
    return found | more


def verdict(object_id: str, run: int = 1, passed: bool = True, dataset: str = "things") -> dict[str, Any]:
    samples = [{"record_id": f"{object_id}-7", "value": "9"}, {"record_id": f"{object_id}-8", "value": None}]
    starred = expectation("starred") if passed else expectation("starred", passed=False, failed=2, samples=samples)
    return {
        "object_id": object_id, "run": run, "dataset": dataset, "key": f"bronze/{dataset}/a.jsonl",
        "engine": "pyarrow", "passed": passed, "audited_at": "2026-03-01T12:00:00.000Z", "rows": 4, "rules": "f" * 64,
        "datasets": {"things": {"rows": 4, "expectations": [starred]}},
    }  # fmt: skip


class Fake:
    """Any client of a stack with verdicts on three objects, the later one newer."""

    class exceptions:  # noqa: N801
        class NoSuchKey(Exception):
            pass

    def __init__(self, state: str = "withheld") -> None:
        self.objects: dict[str, bytes] = {}
        for found in (verdict(GOOD), verdict(BAD), verdict(MIXED, dataset="mixed"), verdict(BAD, 2, passed=False)):
            name = found["object_id"], found["run"]
            self.objects[verdict_key(*name)] = json.dumps(found).encode()
            self.objects[page_key(found["dataset"], *name)] = f"page of {name}".encode()
        self.item = {"object_id": BAD, "run": 2, "state": state, "rows_silver": 4, "error": "withheld: starred"}
        self.started: list[dict[str, Any]] = []
        self.invoked: list[Any] = []

    def __getitem__(self, name: str) -> str:
        return name

    def client(self, _service: str, **_settings: Any) -> "Fake":
        return self

    def get_paginator(self, _operation: str) -> "Fake":
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        keys = enumerate(self.objects)
        listed = [
            {"Key": key, "Size": 1, "LastModified": AT + timedelta(minutes=minutes)}
            for minutes, key in keys
            if key.startswith(request["Prefix"])
        ]
        return [{"Contents": listed}]

    def query(self, **request: Any) -> dict[str, Any]:
        item = typed(self.item | {"pk": f"object#{BAD}", "sk": "object", "origin": {"key": "bronze/things/a"}})
        return {"Items": [item] if BAD in str(request) else []}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "quality_bucket"
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def start_execution(self, **request: Any) -> dict[str, str]:
        self.started.append(request)
        return {"executionArn": "arn"}

    def describe_execution(self, executionArn: str) -> dict[str, str]:  # noqa: N803
        assert executionArn == "arn"
        return {"status": "SUCCEEDED"}

    @property
    def in_service(self) -> dict[str, str]:
        return {"Qualifier": "live"}

    def invoke(self, FunctionName: str, Payload: bytes, Qualifier: str) -> dict[str, Any]:  # noqa: N803
        assert Qualifier == "live"
        assert FunctionName == "quality_publish_function"
        self.invoked.append(json.loads(Payload))
        answer = {"object_id": BAD, "run": 2, "outcome": "committed"}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.delenv("COLUMNS", raising=False)
    found = Fake()
    monkeypatch.setattr(stack, "choose", lambda _target, _env: found)
    return found


def sluice(*words: str) -> int:
    return cli.run(["quality", *words])


def as_json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def named(found: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(one["object_id"], one["run"]) for one in found]


def test_ls_shows_the_last_verdict_on_each_object_the_newest_first(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sluice("ls", "--json") == 0
    assert named(as_json(capsys)) == [(BAD, 2), (MIXED, 1), (GOOD, 1)]
    assert sluice("ls", "--json", "--failed") == 0
    assert named(as_json(capsys)) == [(BAD, 2)]
    assert sluice("ls", "--json", "-n", "1") == 0
    assert named(as_json(capsys)) == [(BAD, 2)]
    assert sluice("ls", "--json", "--dataset", "mixed") == 0
    assert named(as_json(capsys)) == [(MIXED, 1)]
    assert sluice("ls", "--wide") == 0
    assert "starred" in capsys.readouterr().out
    fake.objects.clear()
    assert sluice("ls") == 0
    assert "no verdict" in capsys.readouterr().err


def test_history_has_every_verdict_on_a_dataset_and_on_mixed_objects_with_its_rows(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sluice("history", "things", "--json") == 0
    assert named(as_json(capsys)) == [(BAD, 2), (MIXED, 1), (BAD, 1), (GOOD, 1)]
    assert sluice("history", "others", "--json") == 0
    assert as_json(capsys) == []


def test_show_has_the_last_verdict_and_its_exit_code(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("show", BAD, "--wide") == 1
    shown = capsys.readouterr().out
    for text in ("failed", "starred", "stars is 1 to 5", f"9 ({BAD}-7)", f"no value ({BAD}-8)"):
        assert text in shown
    assert sluice("show", BAD, "--run", "1", "--json") == 0
    assert as_json(capsys) == verdict(BAD)
    assert sluice("show", BAD, "--run", "3") == 1
    assert "no verdict on run 3" in capsys.readouterr().err
    assert sluice("show", GOOD) == 1  # the ledger of this fake does not know it
    assert sluice("show", "../../x") == 2


def test_docs_copies_pages(fake: Fake, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert sluice("docs", BAD, "--out", str(tmp_path), "--json") == 0
    page = Path(as_json(capsys)["page"])
    assert page == tmp_path / "things" / f"{BAD}-00002.html"
    assert page.read_text() == f"page of {(BAD, 2)}"
    assert sluice("docs", "--out", str(tmp_path)) == 0
    index = (tmp_path / "index.html").read_text()
    assert index.count("<a href=") == 3
    assert f'href="mixed/{MIXED}-00001.html"' in index
    assert (tmp_path / f"mixed/{MIXED}-00001.html").exists()


def test_run_starts_the_workflow_and_says_how_it_ended(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("run", BAD, "--engine", "great_expectations", "--json") == 1
    assert as_json(capsys) == {
        "object_id": BAD, "run": 2, "state": "withheld", "error": "withheld: starred", "engine": "great_expectations",
        "execution": fake.started[0]["name"], "status": "SUCCEEDED",
    }  # fmt: skip
    assert json.loads(fake.started[0]["input"]) == {
        "engine": "great_expectations", "objects": [{"object_id": BAD, "run": 2}],
    }  # fmt: skip
    assert sluice("run", BAD, "--engine", "spark") == 2
    fake.item["rows_silver"] = 1_000_001
    assert sluice("run", BAD) == 1
    assert json.loads(fake.started[-1]["input"])["engine"] == "great_expectations"


def test_an_object_that_waits_for_nothing_is_neither_audited_nor_released(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.item["state"] = "committed"
    assert sluice("run", BAD) == 1
    assert sluice("release", BAD, "--reason", "it is right") == 1
    assert "only an object that is staged or withheld" in capsys.readouterr().err
    assert (fake.started, fake.invoked) == ([], [])


def test_release_publishes_and_gives_the_reason(fake: Fake) -> None:
    assert sluice("release", BAD, "--reason", " it is right ") == 0
    assert fake.invoked == [{"object_id": BAD, "run": 2, "release": "it is right"}]
    assert sluice("release", BAD, "--reason", " ") == 2
    assert sluice("release", BAD) == 2
