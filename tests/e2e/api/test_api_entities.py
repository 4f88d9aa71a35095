"""Operations of the analytics API on canonical entities, relationships and time series, with rows of the tests' own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from sluice.branches.api.client import Client
from tests.support.api import data_of, error_of, own_year
from tests.support.pipeline import Pipeline
from tests.support.warehouse import Warehouse

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("api_deployed")


@pytest.fixture
def kind(pipe: Pipeline) -> str:
    """A type of entities that this test alone has."""
    return f"customer-{pipe.run}"


@pytest.fixture
def canonical(warehouse: Warehouse, kind: str) -> Iterator[psycopg.Connection[Any]]:
    """As the administrator; what the test puts there is gone at the end."""
    with warehouse.administrator() as administrator:
        yield administrator
        own = "(SELECT entity_id FROM canonical.entities WHERE entity_type = %s)"
        administrator.execute(f"DELETE FROM canonical.time_series WHERE entity_id IN {own}".encode(), (kind,))
        administrator.execute(f"DELETE FROM canonical.relationships WHERE parent_id IN {own}".encode(), (kind,))
        administrator.execute("DELETE FROM canonical.entities WHERE entity_type = %s", (kind,))


def entity(
    database: psycopg.Connection[Any], kind: str, name: str, *, tier: str | None = None, score: float | None = None
) -> uuid.UUID:
    """Named ``<kind>:<name>``; with a version, a name and what is given."""
    made = uuid.uuid4()
    database.execute(
        "INSERT INTO canonical.entities (entity_id, entity_type, source_system, canonical_id, attributes, version, "
        "status, tier, quality_score) VALUES (%s, %s, 'crm', %s, %s, 1, 'active', %s, %s)",
        (made, kind, f"{kind}:{name}", json.dumps({"name": name}), tier, score),
    )
    return made


def below(
    database: psycopg.Connection[Any], parent: uuid.UUID, child: uuid.UUID, since: datetime, until: datetime | None
) -> None:
    database.execute(
        "INSERT INTO canonical.relationships (parent_id, child_id, relationship_type, effective_from, effective_to) "
        "VALUES (%s, %s, 'owns', %s, %s)",
        (parent, child, since, until),
    )


def test_customers_by_tier_with_their_quality(canonical: psycopg.Connection[Any], api: Client, kind: str) -> None:
    for number, (tier, score) in enumerate((("gold", 90), ("gold", 80), ("silver", 40), (None, None))):
        entity(canonical, kind, f"c{number}", tier=tier, score=score)
    found = data_of(api.ask("customer_analysis", entity_type=kind))
    assert [(row["group"], row["customers"], row["average_quality"]) for row in found] == [
        ("gold", 2, 85), ("silver", 1, 40), (None, 1, None)
    ]  # fmt: skip
    good = data_of(api.get("/analytics", operation="customer_analysis", entity_type=kind, min_quality="50"))
    assert [(row["group"], row["customers"]) for row in good] == [("gold", 2)]
    by_source = data_of(api.ask("customer_analysis", entity_type=kind, group_by="source_system"))
    assert [(row["group"], row["customers"]) for row in by_source] == [("crm", 4)]


def test_a_network_is_walked_down_once_and_as_of_a_time(
    canonical: psycopg.Connection[Any], api: Client, kind: str
) -> None:
    a, b, c, d = (entity(canonical, kind, name) for name in "abcd")
    below(canonical, a, b, BEGIN, None)
    below(canonical, b, c, BEGIN, None)
    below(canonical, c, a, BEGIN, None)  # round and round
    below(canonical, a, d, BEGIN, BEGIN + timedelta(days=10))

    def network(**more: Any) -> list[tuple[int, str, str]]:
        rows = data_of(api.ask("relationship_network", **{"root": f"{kind}:a"} | more))
        return [(row["depth"], row["parent"][-1], row["child"][-1]) for row in rows]

    assert network() == [(1, "a", "b"), (2, "b", "c")]
    assert network(root=str(a)) == network()
    assert network(recursive=False) == [(1, "a", "b")]
    assert network(depth=1) == [(1, "a", "b")]
    assert network(at="2026-01-05") == [(1, "a", "b"), (1, "a", "d"), (2, "b", "c")]
    assert network(at="2025-01-05") == []
    assert network(root="unknown") == []


def test_a_metric_by_period(pipe: Pipeline, canonical: psycopg.Connection[Any], api: Client, kind: str) -> None:
    one, other = entity(canonical, kind, "one"), entity(canonical, kind, "other")
    begin = datetime(own_year(pipe), 3, 2, tzinfo=UTC)
    metric = f"load-{pipe.run}"
    for day, values in enumerate(([1, 3], [4, 8], [10, 20], [0, 2])):
        for owner, value in zip((one, other), values, strict=True):
            canonical.execute(
                "INSERT INTO canonical.time_series (entity_id, metric, at, value) VALUES (%s, %s, %s, %s)",
                (owner, metric, begin + timedelta(days=day, hours=5), value),
            )
    found = data_of(api.ask("time_series_patterns", metric=metric, period="day"))
    assert [(row["period"][:10], row["points"], row["entities"], row["average"]) for row in found] == [
        (f"{begin + timedelta(days=day):%Y-%m-%d}", 2, 2, average) for day, average in enumerate((2, 6, 15, 1))
    ]
    assert [row["change"] for row in found] == [None, 4, 9, -14]
    assert [row["moving_average"] for row in found] == pytest.approx([2, 4, 23 / 3, 22 / 3])
    of_one = data_of(api.ask("time_series_patterns", metric=metric, period="month", entity=f"{kind}:one"))
    assert [(row["points"], row["average"], row["lowest"], row["highest"]) for row in of_one] == [(4, 3.75, 0, 10)]
    late = f"{begin + timedelta(days=2):%Y-%m-%d}"
    assert len(data_of(api.ask("time_series_patterns", metric=metric, since=late))) == 2


def test_scores_and_duplicates(canonical: psycopg.Connection[Any], api: Client, kind: str) -> None:
    for number, name in enumerate(("Nordpost Bergen GmbH", "Nordpost  Bergen Gmbh", "Rapido Cork", "Örebro Frakt AB")):
        entity(canonical, kind, name, score=20 + 25 * number)
    [scores] = data_of(api.ask("data_integrity_analysis", entity_type=kind))
    assert (scores["entities"], scores["scored"], scores["average"], scores["below_50"], scores["from_90"]) == (
        4, 4, 57.5, 2, 1
    )  # fmt: skip
    [pair] = data_of(api.ask("data_integrity_analysis", check="duplicates", entity_type=kind, threshold=0.8))
    assert {pair["text"], pair["other_text"]} == {"Nordpost Bergen GmbH", "Nordpost  Bergen Gmbh"}
    assert pair["score"] == 1
    assert data_of(api.ask("data_integrity_analysis", check="duplicates", entity_type=kind, attribute="nothing")) == []


def test_injections_find_nothing_and_change_nothing(canonical: psycopg.Connection[Any], api: Client, kind: str) -> None:
    entity(canonical, kind, "one")
    text = "'; DELETE FROM canonical.entities; --"
    for operation, parameters in (
        ("customer_analysis", {"entity_type": text}),
        ("relationship_network", {"root": text}),
        ("time_series_patterns", {"metric": text}),
        ("time_series_patterns", {"metric": "m", "entity": text}),
        ("data_integrity_analysis", {"entity_type": text}),
        ("data_integrity_analysis", {"check": "duplicates", "attribute": text}),
    ):
        assert data_of(api.ask(operation, **parameters)) == [], operation
    for operation, parameters in (
        ("customer_analysis", {"group_by": text}),
        ("relationship_network", {"root": "a", "at": text}),
        ("relationship_network", {"root": "a", "depth": 11}),
        ("relationship_network", {}),
        ("time_series_patterns", {"metric": "m", "period": text}),
        ("data_integrity_analysis", {"check": text}),
        ("data_integrity_analysis", {"threshold": text}),
        ("multi_dimensional_analytics", {"dimensions": [text]}),
        ("multi_dimensional_analytics", {"dimensions": ["carrier", "carrier"]}),
        ("multi_dimensional_analytics", {"measure": text}),
        ("multi_dimensional_analytics", {"timeframe": text}),
        ("customer_analysis", {"entity_type": "a\0b"}),
    ):
        error_of(api.ask(operation, **parameters), 400, "InvalidRequest")
    assert [row["customers"] for row in data_of(api.ask("customer_analysis", entity_type=kind))] == [1]
