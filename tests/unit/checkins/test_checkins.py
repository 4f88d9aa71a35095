"""Check-ins without AWS: the section of the YAML, tests on whole columns, requests and names, queries and cursors."""

import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from hypothesis import given
from hypothesis import strategies as st

from api.answers import ApiError
from api.gateway.checkin_routes import add_checkins
from checkins.request import Request, hard_of
from checkins.rows import CURSOR_SECONDS, Checkins, item_of
from checkins.run_log import state_sk
from checkins.schema import CHECKIN
from checkins.steps.columns import OFFSET, judge
from sluice.build.artifacts import compiled_datasets
from sluice.console import SluiceError
from sluice_pipeline.catalog.checks import Check
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import parse_catalog
from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.dynamo.pages import InvalidQuery
from sluice_pipeline.requests import InvalidRequest

ROOT = Path(__file__).parents[3]
CATALOG = parse_catalog(compile_catalog(ROOT / "datasets"))

# -- the section -----------------------------------------------------------------------------------------------------


def written(folder: Path, tests: Any) -> Path:
    raw = yaml.safe_load((ROOT / "datasets/checkins.yaml").read_text())
    raw["checkin"]["tests"] = tests
    (folder / "checkins.yaml").write_text(yaml.safe_dump(raw))
    return folder


@pytest.mark.parametrize(
    ("test", "where", "reason"),
    [
        ({"field": "latitude", "min": 1, "hard": "yes"}, ".hard", "not a bool"),
        ({"field": "height", "min": 1}, ".field", "names no field"),
        ({"field": "venue", "min": 1}, ".min", "no bound"),
        ({"field": "latitude", "burst": 3}, ".burst", "unknown"),
        ({"field": "latitude", "min": 1, "min_rows": 1}, "", "either one field"),
        ({"min_rows": 0}, ".min_rows", "at least 1"),
        ({"unique": ["no_field"]}, ".unique", "names no field"),
        ({"unique": []}, ".unique", "names no field"),
        ({"unique": ["user_id"], "min_rows": 1}, "", "is two checks"),
        ({"hard": True}, "", "either one field"),
    ],
)
def test_a_wrong_test_is_refused_at_build_in_one_line(tmp_path: Path, test: object, where: str, reason: str) -> None:
    with pytest.raises(CatalogError) as refused:
        compile_catalog(written(tmp_path, {"t": test}))
    assert (refused.value.file, refused.value.field) == ("checkins.yaml", f"checkin.tests.t{where}")
    assert reason in refused.value.reason
    with pytest.raises(SluiceError) as built:
        compiled_datasets(tmp_path)
    assert "\n" not in str(built.value)
    assert built.value.code == 2


# -- whole columns ---------------------------------------------------------------------------------------------------

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=4)
BOUNDS: dict[str, Any] = {"minimum": -2, "maximum": 3.5}
CASES: list[tuple[pa.DataType, Any, list[Check]]] = [
    (pa.int64(), st.integers(-5, 5), [Check("c", field="x", **BOUNDS), Check("c", field="x", allowed=(1, 2))]),
    (pa.float64(), st.floats(), [Check("c", field="x", **BOUNDS), Check("c", field="x", minimum=0, not_empty=True)]),
    (
        pa.decimal128(8, 2),
        st.decimals(-9, 9, places=2, allow_nan=False),
        [Check("c", field="x", **BOUNDS), Check("c", field="x", not_empty=True)],
    ),
    (
        pa.string(),
        TEXTS,
        [
            Check("c", field="x", not_empty=True),
            Check("c", field="x", allowed=("a", "b")),
            Check("c", field="x", pattern=r"\w+|.\d", not_empty=True),
        ],
    ),
    (pa.timestamp("us", tz="UTC"), MOMENTS, [Check("c", field="x", not_empty=True)]),
    (pa.bool_(), st.booleans(), [Check("c", field="x", not_empty=True)]),
]


@given(st.data())
def test_a_column_is_judged_as_each_of_its_rows_would_be(data: st.DataObject) -> None:
    kind, values, checks = data.draw(st.sampled_from(CASES))
    column = data.draw(st.lists(st.none() | values, max_size=8))
    check = data.draw(st.sampled_from(checks))
    half = len(column) // 2  # files are put one after the other
    table = pa.table({"x": pa.chunked_array([column[:half], column[half:]], kind), OFFSET: list(range(len(column)))})
    expected = [check.is_broken_by({"x": value}) for value in column]
    verdict = judge(check, table)
    assert verdict.rows is not None
    assert verdict.rows.to_pylist() == expected
    assert (verdict.count, verdict.broken) == (sum(expected), any(expected))


def test_of_rows_that_must_be_unique_the_first_of_the_source_stays() -> None:
    table = pa.table(
        {
            "who": ["a", "b", "a", "a", None, None],
            "at": [1, 1, 1, 2, 1, 1],
            OFFSET: [50, 10, 20, 30, 40, 60],  # files by day: not in the order of the source
        }
    )
    verdict = judge(Check("u", unique=("who", "at")), table)
    assert verdict.rows is not None
    assert verdict.rows.to_pylist() == [True, False, False, False, False, False]
    nothing = judge(Check("u", unique=("who",)), table.slice(0, 0))
    assert (nothing.count, nothing.broken) == (0, False)


@pytest.mark.parametrize(("rows", "broken"), [(0, True), (1, True), (2, False)])
def test_a_file_may_have_too_few_rows(rows: int, broken: bool) -> None:
    verdict = judge(Check("l", min_rows=2), pa.table({OFFSET: list(range(rows))}))
    assert (verdict.broken, verdict.rows, verdict.count) == (broken, None, 0)


# -- requests --------------------------------------------------------------------------------------------------------

GOOD = {
    "day": "2026-03-01",
    "dataset": "checkins",
    "key": "bronze/checkins/dt=2026-03-01/a.csv",
    "object_id": "0f" * 16,
}


def test_a_request_has_one_name_which_fits_and_another_id_is_another_run() -> None:
    one = Request.parse(GOOD)
    assert one.name == f"checkin-2026-03-01-{'0f' * 16}"
    assert Request.parse(json.loads(one.canonical)) == one
    assert Request.parse(GOOD | {"hard_testing": "true"}).name == one.name
    others = {Request.parse(GOOD | {"id": text}).name for text in ("a", "b", "x" * 500)}
    assert len(others | {one.name}) == 4
    assert max(map(len, others)) <= 80  # https://docs.aws.amazon.com/step-functions/latest/dg/limits-overview.html


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"day": "2026-02-30"}, "not a date"),
        ({"day": ""}, "day is missing"),
        ({"dataset": ""}, "dataset is missing"),
        ({"object_id": "xyz"}, "32 hexadecimal"),
        ({"hard_testing": "yes"}, "neither true, false"),
        ({"colour": "red"}, "colour is unknown"),
        ({"key": 5}, "not a string"),
    ],
)
def test_a_wrong_request_is_refused_with_the_field_and_the_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        Request.parse(GOOD | change)


def test_hard_testing_is_for_all_for_none_or_for_each_as_it_says() -> None:
    assert [hard_of(text) for text in ("true", "false", "")] == [True, False, None]


def test_the_log_sorts_states_as_they_follow_each_other() -> None:
    assert sorted(map(state_sk, ("load", "test", "transform"))) == ["1#transform", "2#test", "3#load"]


# -- queries ---------------------------------------------------------------------------------------------------------

ROW = {
    "checkin_id": "c1",
    "user_id": "u1",
    "checked_in_at": datetime(2026, 3, 1, 12, tzinfo=UTC),
    "latitude": 52.5,
    "_record_id": "abc-70",
    "_source_offset": 70,
    "_source_key": "bronze/checkins/x.csv",
}


def test_an_item_is_found_by_user_and_time() -> None:
    dataset = CATALOG.datasets["checkins"]
    section = CHECKIN.of(dataset)
    assert section
    item = item_of(dataset, section, ROW, "2026-03-02T00:00:00.000Z", 1)
    assert (item["pk"], item["sk"]) == ("row#checkins#c1", "c1")
    assert (item["user_key"], item["time_key"]) == ("checkins#u1", "2026-03-01T12:00:00.000000Z#c1")
    assert item["row"]["latitude"] == Decimal("52.5")


class Queries:
    """Answers every query with one row and says that there are more."""

    def __init__(self, user: str) -> None:
        self.last = {
            "pk": {"S": "row#checkins#c1"}, "sk": {"S": "c1"},
            "user_key": {"S": f"checkins#{user}"}, "time_key": {"S": "2026-03-01T12:00:00.000000Z#c1"},
        }  # fmt: skip
        self.asked: list[dict[str, Any]] = []

    def query(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        return {"Items": [self.last | {"row": {"M": {}}}], "LastEvaluatedKey": self.last}


def test_times_are_read_as_utc_unless_they_say_otherwise() -> None:
    client = Queries("u1")
    Checkins(client, "t").of_user("u1", "2026-03-01", "2026-03-02T01:00:00+02:00")
    values = client.asked[0]["ExpressionAttributeValues"]
    assert values[":since"] == {"S": "2026-03-01T00:00:00.000000Z"}
    assert values[":until"] == {"S": "2026-03-01T23:00:00.000000Z"}
    assert client.asked[0]["ScanIndexForward"] is False


@pytest.mark.parametrize(
    "question",
    [
        {"user": ""},
        {"user": "u" * 5000},
        {"limit": 0},
        {"limit": 1001},
        {"since": "yesterday"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"since": "2026-03-02", "until": "2026-03-01"},
        {"cursor": "x"},
    ],
)
def test_a_wrong_question_is_refused(question: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuery):
        Checkins(Queries("u1"), "t").of_user(**{"user": "u1"} | question)


def turned(cursor: str, **change: Any) -> str:
    position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))) | change
    text = json.dumps({name: value for name, value in position.items() if value is not None})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_a_cursor_that_is_forged_or_of_another_question_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Checkins(Queries("u1"), "t")
    cursor = reader.of_user("u1").cursor
    assert reader.of_user("u1", cursor=cursor).items == [{}]
    now = datetime.now(UTC)
    for wrong in (
        turned(cursor, user_key="checkins#u2"),
        turned(cursor, **{"~ends": None}),
        turned(cursor, **{"~ends": "soon"}),
        turned(cursor, **{"~ends": 5}),
        turned(cursor, **{"~ends": str(int((now + timedelta(days=400)).timestamp()))}),
        turned(cursor, more="x"),
    ):
        with pytest.raises(InvalidQuery):
            reader.of_user("u1", cursor=wrong)
    with pytest.raises(InvalidQuery, match="outside of the times"):
        reader.of_user("u1", since="2026-03-02", cursor=cursor)
    later = now.timestamp() + CURSOR_SECONDS + 2
    monkeypatch.setattr("sluice_pipeline.dynamo.pages.time.time", lambda: later)
    with pytest.raises(InvalidQuery, match="expired"):
        reader.of_user("u1", cursor=cursor)


# -- the route -------------------------------------------------------------------------------------------------------


def asked(**parameters: list[str]) -> Any:
    """What the route answers to a query string: status and body."""
    app = APIGatewayRestResolver(enable_validation=True)
    add_checkins(app, Checkins(Queries("u1"), "t"))

    @app.exception_handler(ApiError)  # type: ignore[untyped-decorator]
    def answered(error: ApiError) -> Response[str]:
        return Response(error.status, "application/json", error.body())

    event = {
        "httpMethod": "GET", "path": "/checkins", "resource": "/{proxy+}", "body": None, "headers": {},
        "multiValueHeaders": {}, "requestContext": {"stage": "v1", "path": "/checkins", "requestId": "r"},
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()},
        "multiValueQueryStringParameters": parameters,
    }  # fmt: skip
    found = app.resolve(event, None)  # type: ignore[arg-type]
    return found["statusCode"], json.loads(found["body"])


def test_the_route_answers_with_a_page() -> None:
    status, body = asked(user=["u1"], limit=["5"], **{"from": ["2026-03-01"], "to": ["2026-03-02"]})
    assert (status, body["success"], body["data"], body["metadata"]["resultCount"]) == (200, True, [{}], 1)
    status, body = asked(user=["u1"], cursor=[body["metadata"]["cursor"]])
    assert status == 200


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({}, 422),  # 400 in the whole API, whose own handler takes it
        ({"user": [""]}, 422),
        ({"user": ["u1"], "limit": ["x"]}, 422),
        ({"user": ["u1"], "limit": ["1001"]}, 422),
        ({"user": ["u1"], "limit": ["0"]}, 422),
        ({"user": ["u1"], "from": ["soon"]}, 400),
        ({"user": ["u1"], "cursor": ["x"]}, 400),
        ({"user": ["u1", "u2"]}, 422),
        ({"user": ["u1"], "since": ["2026-03-01"]}, 400),
    ],
)
def test_the_route_refuses_what_it_does_not_understand(parameters: dict[str, list[str]], status: int) -> None:
    assert asked(**parameters)[0] == status
