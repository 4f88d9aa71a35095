"""Both engines of the quality gate come to the same verdict: counts, samples and all."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quality.audit import arrow_engine
from quality.audit.recording import described
from sluice_pipeline.catalog.expectations import expectations_of
from tests.support import client_environments
from tests.support.expected import ARRIVED, dataset_of, expectations_of_rows, raw_dataset, silver_of_rows, values_of
from tests.support.thorough import EVERYTHING

pytestmark = [pytest.mark.timeout(900, func_only=True), pytest.mark.slow]
HERE = Path(__file__).parent


class GreatExpectations:
    """A process of the job's environment that judges one request after the other."""

    def __init__(self, folder: Path) -> None:
        python = client_environments.python_of(HERE / "great_expectations.txt")
        self._folder = folder
        self._errors = (folder / "errors.log").open("w")
        self._process = subprocess.Popen(
            [python, HERE / "judge.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            env=client_environments.variables("http://127.0.0.1:9"), cwd=folder,
        )  # fmt: skip

    def judge(self, expectations: Mapping[str, Any], bodies: Mapping[str, bytes], rows: Sequence[int]) -> Any:
        """The dataset's part of the verdict."""
        for name, body in bodies.items():
            (self._folder / name).write_bytes(body)
        files = [[str(self._folder / name), count] for name, count in zip(bodies, rows, strict=True)]
        request = {"dataset": raw_dataset(expectations), "files": files, "arrived": ARRIVED.isoformat()}
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(request), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            word, _, rest = line.partition(" ")
            if word == "verdict":
                return json.loads(rest)
            if word == "error":
                raise AssertionError(json.loads(rest))
        raise AssertionError((self._folder / "errors.log").read_text()[-4000:])

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._errors.close()


@pytest.fixture(scope="module")
def great_expectations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GreatExpectations]:
    found = GreatExpectations(tmp_path_factory.mktemp("rows"))
    yield found
    found.close()


def verdicts(
    engine: GreatExpectations, expectations: Mapping[str, Any], values: Sequence[Mapping[str, Any]], files: int = 1
) -> tuple[Any, Any]:
    """PyArrow's and Great Expectations'."""
    dataset = dataset_of(expectations)
    silver, parsed = silver_of_rows(dataset, values, files), expectations_of(dataset)
    ours = described(silver.rows, parsed, arrow_engine.judge(parsed, silver.rows))
    return json.loads(json.dumps(ours)), engine.judge(expectations, silver.bodies, [f.rows for f in silver.rows.files])


@settings(max_examples=60 if EVERYTHING else 20, deadline=None, suppress_health_check=list(HealthCheck))
@given(expectations=expectations_of_rows(), values=values_of(), files=st.integers(1, 3))
def test_random_rows_get_one_verdict(
    great_expectations: GreatExpectations, expectations: dict[str, Any], values: list[dict[str, Any]], files: int
) -> None:
    ours, theirs = verdicts(great_expectations, expectations, values, files)
    assert ours == theirs


def test_a_hundred_thousand_rows_get_one_verdict(great_expectations: GreatExpectations) -> None:
    row = {"at": ARRIVED, "weight": 1.5, "price": None, "paid": True, "day": None, "more": None}
    values = [row | {"name": f"n{number % 99_999}", "stars": number} for number in range(100_000)]
    expectations = {
        "some": {"min_rows": 1, "max_rows": 100_000, "hard": True},
        "once": {"unique": ["name"], "mostly": 0.5},
        "together": {"unique": ["name", "stars"]},
        "starred": {"field": "stars", "min": 10, "max": 99_000, "mostly": 0.99},
        "named": {"field": "name", "pattern": r"n\d+"},
        "one_of": {"field": "name", "allowed": ["n1", "n2"]},
        "paid": {"condition": "paid = true and stars >= 0"},
        "fresh": {"field": "at", "within_hours": 1},
    }
    ours, theirs = verdicts(great_expectations, expectations, values, files=4)
    assert ours == theirs
    assert {one["name"]: one["failed"] for one in ours["expectations"]} == dict.fromkeys(expectations, 0) | {
        "once": 2, "one_of": 99_998, "starred": 1009,
    }  # fmt: skip


def test_the_lock_has_what_the_job_asks_for() -> None:
    asked = (HERE.parents[2] / "jobs/quality/modules.txt").read_text().split()
    lock = (HERE / "great_expectations.txt").read_text().splitlines()
    assert set(asked) <= {line.split(" ")[0].replace("-", "_") for line in lock}
    job = (HERE.parents[2] / "infra/branches/quality/job.tf").read_text()
    assert f"job_modules = {json.dumps(asked)}" in job
