"""The quality gate with Great Expectations: the workflow runs the Glue job, and its verdict decides."""

from __future__ import annotations

import pytest

from tests.support.changes import environment
from tests.support.pipeline import Pipeline
from tests.support.quality import DATASET, Quality, flights

pytestmark = [
    pytest.mark.usefixtures("quality_deployed", "embedded_only"),
    pytest.mark.slow,
    pytest.mark.timeout(900, func_only=True),  # the first job installs Spark and Great Expectations
]


def test_a_job_audits_the_objects_of_a_batch(pipe: Pipeline) -> None:
    quality = Quality(pipe)
    with environment(pipe, "quality", QUALITY_ENGINE="great_expectations"):
        good = quality.put(flights(20, days=2), "good.jsonl")
        bad = quality.put([*flights(9), *flights(1, distance=0, flight=99)], "bad.jsonl")
        assert quality.ended(good, deadline=800)["state"] == "committed"
        item = quality.ended(bad, deadline=800)
    assert (item["state"], item["error"]) == ("withheld", "flies_somewhere: 1 of 10 rows")
    found = quality.verdict(good)
    assert (found["engine"], found["passed"], found["rows"]) == ("great_expectations", True, 20)
    by_name = {one["name"]: one for one in quality.verdict(bad)["datasets"][DATASET]["expectations"]}
    assert {name: one["failed"] for name, one in by_name.items() if not one["passed"]} == {"flies_somewhere": 1}
    assert [sample["value"] for sample in by_name["flies_somewhere"]["samples"]] == ["0"]
    assert len(pipe.rows(good)) == 20
    assert pipe.files(bad) == {}
    pipe.verified(good.ref.key, bad.ref.key)
