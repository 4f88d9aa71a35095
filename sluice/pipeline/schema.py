"""Columns and types that rows had and their dataset's YAML has not: what the ledger recorded, and fields for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluice.tables import safe
from sluice_pipeline.catalog.fields import NAME
from sluice_pipeline.catalog.sights import MAX_SIGHTS, joined_type, widened_type

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack
    from sluice_pipeline.catalog.datasets import Catalog, Dataset

OPEN, SETTLED = "open", "in the YAML"
LIMIT: Final = MAX_SIGHTS


@dataclass(frozen=True)
class Seen:
    """A sight of the ledger. ``declared``: the field's type when it was seen, empty for a column without a field.

    ``state``: ``open``, or that the YAML of this checkout has the column, or the wider type, by now.
    """

    dataset: str
    column: str
    type: str
    declared: str
    contract: str
    state: str
    seen_at: str
    source_key: str
    offset: int
    object_id: str


def seen(stack: Stack, catalog: Catalog, datasets: Sequence[str]) -> list[Seen]:
    """What the ledger holds of these datasets, oldest first. Raises SluiceError when nothing is deployed."""
    from sluice_pipeline.dynamo.table import Table
    from sluice_pipeline.ledger.sights import SIGHT, schema_pk

    table = Table(stack.client("dynamodb"), stack["ledger_table"])
    found = [_seen(item, catalog.datasets[name]) for name in datasets for item in table.query(schema_pk(name), SIGHT)]
    return sorted(found, key=lambda one: (one.dataset, one.seen_at, one.column, one.type))


def _seen(item: dict[str, Any], dataset: Dataset) -> Seen:
    field = dataset.columns.get(str(item["column"]))
    if item["declared"]:
        is_open = field is not None and widened_type(field.type, [item["type"]]) != field.type
        contract = str(dataset.contract.types)
    else:
        is_open, contract = field is None, str(dataset.contract.columns)
    return Seen(
        dataset.name, str(item["column"]), str(item["type"]), str(item["declared"]), contract,
        OPEN if is_open else SETTLED, str(item["seen_at"]), str(item["source_key"]), int(item["offset"]),
        str(item["object_id"]),
    )  # fmt: skip


@dataclass(frozen=True)
class Proposed:
    """A field for a dataset's YAML; ``type`` takes all values that were seen. ``now``: its present type, or empty.

    ``name_fits``: false for a column whose name no field can have.
    """

    dataset: str
    column: str
    type: str
    now: str
    name_fits: bool


def proposed(found: Sequence[Seen], catalog: Catalog) -> list[Proposed]:
    """One field for each column with open sights."""
    types: dict[tuple[str, str], list[str]] = {}
    for one in found:
        if one.state == OPEN:
            types.setdefault((one.dataset, one.column), []).append(one.type)
    made = []
    for (dataset, column), kinds in types.items():
        field = catalog.datasets[dataset].columns.get(column)
        kind = widened_type(field.type, kinds) if field else joined_type(kinds)
        made.append(Proposed(dataset, column, kind, field.type if field else "", bool(NAME.fullmatch(column))))
    return made


def as_yaml(fields: Sequence[Proposed]) -> Iterator[str]:
    """The lines to put into the files; what cannot be a field is a comment."""
    for dataset in sorted({one.dataset for one in fields}):
        yield f"# datasets/{dataset}.yaml"
        yield "fields:"
        for one in fields:
            if one.dataset != dataset:
                continue
            if not one.name_fits:
                name = safe(json.dumps(one.column, ensure_ascii=False))
                yield f"  # {name} ({one.type}) is no name of a field (lower case, digits, _): let the sender rename it"
            elif one.now:
                yield f"  {one.column}: {{ type: {one.type} }} # instead of {one.now}; keep its other settings"
            else:
                yield f"  {one.column}: {{ type: {one.type} }}"
