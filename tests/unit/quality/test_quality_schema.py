"""The section ``quality``: what is an expectation, and which errors name the place."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from checkins.schema import CHECKIN
from quality.schema import QUALITY
from sluice.paths import DATASETS_DIR
from sluice_pipeline.catalog.checks import Check
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import parse_catalog
from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.catalog.expectations import Expectation, Kind, expectations_of
from tests.support.expected import FIELDS

ALL: dict[str, Any] = {
    "some": {"min_rows": 1, "max_rows": 10, "hard": True},
    "named": {"field": "name", "not_null": True, "mostly": 0.5},
    "once": {"unique": ["name"]},
    "together": {"unique": ["name", "day"]},
    "stars_are": {"field": "stars", "min": 1, "max": 5},
    "one_of": {"field": "name", "allowed": ["a", "b"]},
    "word": {"field": "name", "pattern": "[a-z]+"},
    "fresh": {"field": "at", "within_hours": 24},
    "in_order": {"condition": "at >= day"},
}


def compiled(folder: Path, quality: Any) -> Any:
    raw = {"dataset": "things", "partition_by": "at", "fields": FIELDS, "quality": quality}
    (folder / "things.yaml").write_text(yaml.safe_dump(raw))
    return parse_catalog(compile_catalog(folder)).datasets["things"]


def test_every_kind_is_read_and_fits_the_json_schema(tmp_path: Path) -> None:
    found = {one.name: one for one in expectations_of(compiled(tmp_path, {"expectations": ALL}))}
    assert list(found) == sorted(ALL)
    assert [found[name].kind for name in ALL] == list(Kind)
    assert found["some"] == Expectation("some", Kind.ROW_COUNT, hard=True, minimum=1, maximum=10)
    assert found["named"] == Expectation("named", Kind.NOT_NULL, ("name",), mostly=0.5)
    assert found["in_order"].fields == ("at", "day")
    jsonschema.validate({"expectations": ALL}, dict(QUALITY.json_schema))


@pytest.mark.parametrize(
    ("expectation", "place", "reason"),
    [
        ({"field": "nme", "not_null": True}, "one.field", "names no field: 'nme'"),
        ({"unique": ["name", "nme"]}, "one.unique", "names no field: 'nme'"),
        ({"condition": "nme > 1"}, "one.condition", "names no field: 'nme'"),
        ({"field": ["name"], "not_null": True}, "one.field", "names no field"),
        ({"not_null": True}, "one.field", "is missing: not_null"),
        ({"field": "name", "min_rows": 1}, "one.field", "is none of min_rows"),
        ({"field": "name"}, "one", "expects nothing"),
        ({}, "one", "expects nothing"),
        ({"field": "name", "not_null": True, "pattern": "a"}, "one", "is several: not_null, pattern"),
        ({"field": "name", "not_nul": True}, "one.not_nul", "is unknown"),
        ({"field": "name", "not_null": False}, "one.not_null", "False is not true"),
        ({"field": "name", "min": 1}, "one.min", "1 is no bound of a string"),
        ({"field": "at", "min": 1}, "one.min", "1 is no bound of a timestamp"),
        ({"field": "stars", "min": 1.5}, "one.min", "1.5 is not an int64"),
        ({"field": "stars", "max": 2**63}, "one.max", "is not an int64"),
        ({"field": "weight", "min": float("nan")}, "one.min", "nan is no bound"),
        ({"field": "weight", "max": float("inf")}, "one.max", "inf is no bound"),
        ({"field": "weight", "min": True}, "one.min", "True is no bound"),
        ({"field": "price", "max": 1e300}, "one.max", "beyond every decimal"),
        ({"field": "stars", "min": 5, "max": 1}, "one.min", "5 is greater than max 1"),
        ({"field": "stars", "allowed": ["1"]}, "one.allowed", "'1' is not a int64"),
        ({"field": "stars", "allowed": [True]}, "one.allowed", "True is not a int64"),
        ({"field": "name", "allowed": []}, "one.allowed", "is not a list of values"),
        ({"field": "weight", "allowed": [1.5]}, "one.allowed", "a float64 has no list of values"),
        ({"field": "stars", "pattern": "a"}, "one.pattern", "a int64 has no pattern"),
        ({"field": "name", "pattern": "("}, "one.pattern", "is no regular expression"),
        ({"field": "name", "pattern": "a)(b"}, "one.pattern", "is no regular expression"),
        ({"field": "name", "within_hours": 1}, "one.within_hours", "no timestamp or date"),
        ({"field": "at", "within_hours": 0}, "one.within_hours", "0 is not a number of hours"),
        ({"field": "at", "within_hours": 1e9}, "one.within_hours", "is not a number of hours"),
        ({"field": "at", "within_hours": 1, "mostly": 0.5}, "one.mostly", "about all of them"),
        ({"field": "name", "not_null": True, "mostly": 1.1}, "one.mostly", "1.1 is not a part between 0 and 1"),
        ({"field": "name", "not_null": True, "hard": "yes"}, "one.hard", "'yes' is not a bool"),
        ({"unique": []}, "one.unique", "is not a list of fields"),
        ({"unique": ["name", "name"]}, "one.unique", "names a field twice"),
        ({"unique": ["weight"]}, "one.unique", "a float64 is not compared for equality"),
        ({"unique": ["more"]}, "one.unique", "a json is not compared for equality"),
        ({"min_rows": -1}, "one.min_rows", "-1 is not a whole number"),
        ({"min_rows": 5, "max_rows": 1}, "one.min_rows", "5 is greater than max_rows 1"),
        ({"condition": "price > weight"}, "one.condition", "not compared"),
        ("name", "one", "is not a mapping"),
    ],
)
def test_a_wrong_expectation_is_an_error_of_the_build(
    tmp_path: Path, expectation: Any, place: str, reason: str
) -> None:
    with pytest.raises(CatalogError) as raised:
        compiled(tmp_path, {"expectations": {"one": expectation}})
    assert raised.value.file == "things.yaml"
    assert raised.value.field == f"quality.expectations.{place}"
    assert reason in raised.value.reason


@pytest.mark.parametrize(
    ("quality", "place"),
    [
        ({}, "quality.expectations"),
        ({"expectations": {}}, "quality.expectations"),
        ({"expectations": []}, "quality.expectations"),
        ({"expectation": {}}, "quality.expectation"),
        ([], "quality"),
        ({"expectations": {"Not a name": {"min_rows": 1}}}, "quality.expectations.Not a name"),
        ({"expectations": {f"e{n}": {"min_rows": 1} for n in range(101)}}, "quality.expectations"),
    ],
)
def test_a_wrong_section_is_an_error_of_the_build(tmp_path: Path, quality: Any, place: str) -> None:
    with pytest.raises(CatalogError) as raised:
        compiled(tmp_path, quality)
    assert raised.value.field == place


def test_an_expectation_that_a_check_of_rows_says_is_one(tmp_path: Path) -> None:
    found = {one.name: one.check for one in expectations_of(compiled(tmp_path, {"expectations": ALL}))}
    assert found["stars_are"] == Check("stars_are", "stars", minimum=1, maximum=5)
    assert found["together"] == Check("together", unique=("name", "day"))
    assert found["one_of"] == Check("one_of", "name", allowed=("a", "b"))
    assert [name for name, check in found.items() if check is None] == ["fresh", "in_order", "named", "some"]


def test_hard_expectations_are_tests_of_check_ins_and_an_error_in_one_names_its_own_section(tmp_path: Path) -> None:
    raw = yaml.safe_load((DATASETS_DIR / "checkins.yaml").read_text())
    expectations = raw["quality"]["expectations"]
    expectations |= {"soft": {"field": "city", "not_null": True}, "new": {"field": "checked_in_at", "within_hours": 1}}
    (tmp_path / "checkins.yaml").write_text(yaml.safe_dump(raw))
    found = CHECKIN.of(parse_catalog(compile_catalog(tmp_path)).datasets["checkins"])
    assert found
    assert {check.name for check in found.checks if check.hard} == {
        "at_least_one_row", "latitude_on_earth", "longitude_on_earth",
    }  # fmt: skip
    assert {check.name for check in found.checks if not check.hard} == set(raw["checkin"]["tests"])
    raw["checkin"]["tests"]["latitude_on_earth"] = {"field": "latitude", "min": 0}
    (tmp_path / "checkins.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(CatalogError, match=r"checkin\.tests\.latitude_on_earth: is an expectation"):
        compile_catalog(tmp_path)
    del raw["checkin"]["tests"]["latitude_on_earth"]
    expectations["latitude_on_earth"] = {"field": "lat", "min": 0}
    (tmp_path / "checkins.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(CatalogError, match=r"quality\.expectations\.latitude_on_earth\.field: names no field: 'lat'"):
        compile_catalog(tmp_path)
