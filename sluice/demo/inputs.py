"""What the demo puts in, and what must come out of it. Every expected number is taken from the input itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.pipeline import query, seed
from sluice.pipeline.seed import Upload
from sluice_pipeline.catalog.datasets import MIXED

if TYPE_CHECKING:
    from fixtures.shipping import Feed

SEED = 2013


@dataclass(frozen=True)
class Input:
    """One run's objects. Every run has a folder of its own, so that runs on one stack do not mix."""

    run: str
    months: Sequence[int]
    flights: Sequence[Upload]
    mixed: Upload
    feed: Feed
    poison: Upload

    @property
    def uploads(self) -> list[Upload]:
        return [*self.flights, self.mixed, self.poison]

    @property
    def prefixes(self) -> list[str]:
        """Bronze prefixes that hold this run's objects and nothing else."""
        return sorted({item.key.rsplit("/", 1)[0] + "/" for item in self.uploads})

    @property
    def flights_rows(self) -> int:
        return sum(item.rows for item in self.flights)


def make(run: str, months: Sequence[int], rows: int) -> Input:
    """All of the year's flights (or some months), a mixed feed with bad lines, and an object of binary rubbish."""
    from fixtures import formats, shipping

    folder = f"demo-{run}"
    feed = shipping.feed(SEED, rows)
    rubbish = formats.rubbish(SEED)
    return Input(
        run=run,
        months=months,
        flights=list(seed.flights(months, folder)),
        mixed=Upload(seed.bronze_key(MIXED, folder, "shipping.jsonl"), lambda: feed.body, feed.rows),
        feed=feed,
        poison=Upload(seed.bronze_key(shipping.SHIPMENTS, folder, rubbish.name), lambda: rubbish.body, 0),
    )


def source_tables(months: Sequence[int]) -> dict[str, Any]:
    """The flights as the package has them, under the name that silver gives them: the same SQL runs on both."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from fixtures import flights

    table = flights.source()
    return {"flights": table.filter(pc.is_in(table["month"], pa.array(list(months))))}


@dataclass(frozen=True)
class Question:
    """A question whose answer from silver must be the source's."""

    title: str
    sql: str


QUESTIONS = (
    Question("Flights per carrier and average departure delay", query.CARRIERS),
    Question("Busiest day per airport", query.BUSIEST_DAYS),
)
