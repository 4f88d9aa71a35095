"""The queries of docs/entities.md use the indexes that it names; months get partitions once, however many ask."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sluice.paths import ROOT
from tests.support.pipeline import Pipeline
from tests.support.warehouse import Warehouse

# 20,000 entities such as the page asks for; gone at the end.
FILL = """
    INSERT INTO canonical.entities
        (entity_id, entity_type, source_system, canonical_id, attributes, version, status, tier, updated_at)
    SELECT canonical.entity_id('customer:K-' || n), CASE n % 10 WHEN 7 THEN 'customer' ELSE 'type' || n % 10 END, 'crm',
        'customer:K-' || n,
        jsonb_build_object('email', n || '@example.com',
            'profile', jsonb_build_object('address', jsonb_build_object('city', 'City ' || n % 1000))),
        1, 'active', CASE n % 50 WHEN 7 THEN 'gold' ELSE 'tier' || n % 50 END, now() - n * interval '1 minute'
    FROM generate_series(1, 20000) AS n;
    INSERT INTO canonical.entity_history
    SELECT entity_id, 1, attributes, '{}', status, updated_at, NULL, entity_id FROM canonical.entities
    WHERE canonical_id LIKE 'customer:K-%';
    INSERT INTO canonical.mappings
    SELECT 'crm', 'customer', canonical_id, entity_id, now(), now(), entity_id, 0 FROM canonical.entities
    WHERE canonical_id LIKE 'customer:K-%';
    INSERT INTO canonical.relationships (parent_id, child_id, relationship_type, effective_from)
    SELECT canonical.entity_id('customer:K-' || n / 20 + 1), canonical.entity_id('customer:K-' || n), 'belongs_to',
        now()
    FROM generate_series(1, 20000) AS n;
    SELECT canonical.ensure_month('2026-03-01'), canonical.ensure_month('2026-04-01');
    INSERT INTO canonical.time_series (entity_id, metric, at, value)
    SELECT canonical.entity_id('customer:K-' || n), 'metric' || n % 3,
        timestamptz '2026-03-01 00:00+00' + n * interval '2 minutes', n FROM generate_series(1, 30000) AS n;
    ANALYZE canonical.entities, canonical.entity_history, canonical.mappings, canonical.relationships,
        canonical.time_series
"""


def documented() -> dict[str, set[str]]:
    """The page's queries, with the indexes named in the comment before each."""
    [block] = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/entities.md").read_text(), re.DOTALL)
    found = re.findall(r"^-- ([\w, ]+)\n(.*?);$", block, re.DOTALL | re.MULTILINE)
    return {query: set(names.split(", ")) for names, query in found}


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for inner in plan.get("Plans", []) for node in nodes(inner))]


def test_every_documented_query_uses_its_indexes_and_reads_no_table_whole(warehouse: Warehouse) -> None:
    queries = documented()
    assert len(queries) == 11
    with warehouse.administrator() as connection, connection.transaction(force_rollback=True):
        connection.execute(FILL.encode())
        for query, wanted in queries.items():
            row = connection.execute(f"EXPLAIN (FORMAT JSON) {query}".encode()).fetchone()
            assert row
            found = nodes(row[0][0]["Plan"])
            assert {node["Index Name"] for node in found if "Index Name" in node} == wanted, query
            assert not [node for node in found if node["Node Type"] == "Seq Scan"], query


def test_a_month_gets_one_partition_however_many_ask_for_it_at_once(pipe: Pipeline, warehouse: Warehouse) -> None:
    number = int(pipe.run, 16)
    month = f"{1970 + number % 40}-{number % 12 + 1:02d}-17"

    def ask(_: int) -> bool:
        with warehouse.connect("loader") as connection:
            row = connection.execute("SELECT canonical.ensure_month(%s)", (month,)).fetchone()
        return bool(row and row[0])

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, range(8))) == 1
