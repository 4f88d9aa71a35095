"""From a sample file to an answer of Athena: scaffold, deploy, put, query; and a changed YAML changes the table.

In a checkout of its own, whose datasets may change.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice import build
from sluice.paths import BUILD_DIR
from tests.support.checkouts import Checkout, copy_of
from tests.support.pipeline import until

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.usefixtures("embedded_only")]

# The core and the lake: other branches would only take time.
OFF = ("observability", "ops", "warehouse", "canonical", "api", "feedback", "checkin")
STACK = [word for name in OFF for word in ("--var", f"{name}_enabled=false")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    build.build()
    made = copy_of(tmp_path_factory.mktemp("scaffold"), "cache")
    shutil.copytree(BUILD_DIR, made.root / ".sluice/build")
    try:
        made.up()
        run(made, "deploy", "--json", *STACK)
        yield made
    finally:
        made.sluice("down", "--quiet")


def run(checkout: Checkout, *words: str) -> Any:
    done = checkout.sluice(*words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask(checkout: Checkout, sql: str, wanted: list[dict[str, Any]]) -> None:
    """Athena's answer is the wanted one, soon."""

    def look() -> bool:
        return bool(run(checkout, "query", "--engine", "athena", "--json", sql) == wanted)

    until(f"the answer to {sql}", look, 120)


ORDERS = [
    {"orderId": f"o{number}", "placedAt": f"2026-03-0{1 + number % 2}T10:00:00Z", "amount": number + 0.5, "paid": None}
    for number in range(6)
]
TRIPS = "Trip ID;Start Day;Zip\n1;2026-03-01;01234\n2;2026-03-02;99999\n3;2026-03-02;\n"


def test_from_a_sample_to_an_answer(checkout: Checkout, tmp_path: Path) -> None:
    orders, trips = tmp_path / "orders.jsonl", tmp_path / "trips.csv"
    orders.write_text("".join(json.dumps(row) + "\n" for row in ORDERS))
    trips.write_text(TRIPS)
    made = run(checkout, "scaffold", "orders", str(orders), "--json")
    assert made["files"] == [
        "datasets/orders.yaml",
        "fixtures/datasets/orders.jsonl",
        "tests/unit/datasets/test_orders.py",
    ]
    assert made["fields"] == {"order_id": "string", "placed_at": "timestamp", "amount": "float64", "paid": "string"}
    run(checkout, "scaffold", "trips", str(trips), "--json")
    done = run(checkout, "deploy", "--json", *STACK)
    # The datasets' object, and for each of the two a table, and a view of its newest rows.
    assert (done["added"], done["changed"], done["removed"]) == (4, 1, 0)
    for file, dataset in ((orders, "orders"), (trips, "trips")):
        run(checkout, "put", str(file), dataset, "--wait", "--json")
    by_day = "SELECT dt, count(*) AS n, {} AS v FROM {} GROUP BY dt ORDER BY dt"
    ask(
        checkout,
        by_day.format("sum(amount)", "orders"),
        [{"dt": "2026-03-01", "n": 3, "v": 7.5}, {"dt": "2026-03-02", "n": 3, "v": 10.5}],
    )
    ask(
        checkout,
        by_day.format("min(zip)", "trips"),
        [{"dt": "2026-03-01", "n": 1, "v": "01234"}, {"dt": "2026-03-02", "n": 2, "v": "99999"}],
    )

    # A field that the YAML gets is a column of the table, and of the view of its newest rows, after the same
    # deployment; older rows have none.
    yaml = checkout.root / "datasets/orders.yaml"
    yaml.write_text(yaml.read_text() + "  channel: { type: string }\n")
    done = run(checkout, "deploy", "--json", *STACK)
    # The datasets' object, the table and its view.
    assert (done["added"], done["changed"], done["removed"]) == (0, 3, 0)
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps(ORDERS[0] | {"orderId": "o9", "channel": "web"}) + "\n")
    run(checkout, "put", str(more), "orders", "--wait", "--json")
    ask(
        checkout,
        "SELECT channel, count(*) AS n FROM orders GROUP BY channel ORDER BY n",
        [{"channel": "web", "n": 1}, {"channel": None, "n": 6}],
    )
    assert run(checkout, "plan", "--json", *STACK)["changes"] == []
