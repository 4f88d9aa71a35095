"""What the ledger knows of columns and types that a dataset's YAML does not have: the first sight of each, once.

One item for each sight: ``pk`` = ``schema#<dataset>``, ``sk`` = ``sight#<hash of the column>#<type>#<declared type>``.
The item ``head`` counts them, so that a hostile file makes no more than MAX_SIGHTS of them: both are written in one
transaction. A sight belongs to the chunk that recorded it, which sends the notice: when its function dies before
``mark_notified``, the chunk's next delivery finds it and sends the notice.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Any, Final, TypedDict

from sluice_pipeline.catalog.sights import MAX_SIGHTS, Sight, Sights, shown_name
from sluice_pipeline.dynamo.table import TRANSACTION_LIMIT, Table
from sluice_pipeline.objects.identity import Origin
from sluice_pipeline.runtime.clock import now

SIGHT: Final = "sight#"
HEAD: Final = "head"


class SightItem(TypedDict, total=False):
    """``offset``, ``chunk``, ``object_id``, ``source_key``: where it was seen first, as far as the ledger knows."""

    pk: str
    sk: str
    dataset: str
    column: str
    type: str
    declared: str
    object_id: str
    chunk: int
    source_key: str
    offset: int
    seen_at: str
    notified_at: str


def schema_pk(dataset: str) -> str:
    return f"schema#{dataset}"


def sight_sk(sight: Sight) -> str:
    column = hashlib.sha256(sight.column.encode("utf-8", "replace")).hexdigest()[:32]
    return f"{SIGHT}{column}#{sight.type}#{sight.declared}"


class SightLedger:
    def __init__(self, client: Any, table: str) -> None:
        self._table = Table(client, table)
        # The object and chunk that each recorded sight belongs to, which notify it; None when they have.
        self._known: dict[tuple[str, str], tuple[str, int] | None] = {}
        self._full: set[str] = set()

    def record(self, origin: Origin, chunk: int, dataset: str, sights: Sights) -> tuple[list[SightItem], int]:
        """Records the sights that are new; those that this chunk has to notify, and how many there was no room for.

        A warm function that has recorded all of them makes no call.
        """
        items = {
            sight_sk(sight): _item(origin, chunk, dataset, sight, offset) for sight, offset in sights.first.items()
        }
        owner = (origin.object_id, chunk)
        unknown = [item for item in items.values() if (item["pk"], item["sk"]) not in self._known]
        own = any(self._known.get((item["pk"], item["sk"])) == owner for item in items.values())
        if not own and (not unknown or dataset in self._full):
            return [], sights.left_out + len(unknown)
        found = {str(item["sk"]): item for item in self._table.query(schema_pk(dataset), SIGHT)}
        self._record([item for item in unknown if item["sk"] not in found])
        found = {str(item["sk"]): item for item in self._table.query(schema_pk(dataset), SIGHT)}
        self._known |= {(schema_pk(dataset), sk): _still_to_notify(item) for sk, item in found.items()}
        mine: list[Any] = [item for item in found.values() if _still_to_notify(item) == owner]
        mine.sort(key=lambda item: (int(item["offset"]), item["column"]))
        if len(found) >= MAX_SIGHTS:
            self._full.add(dataset)
        return mine, sights.left_out + sum(item["sk"] not in found for item in unknown)

    def mark_notified(self, items: Sequence[SightItem]) -> None:
        """After the notice about them was sent."""
        for batch in batched(items, TRANSACTION_LIMIT, strict=False):
            self._table.transact(
                [
                    self._table.update_action(item["pk"], item["sk"], "SET notified_at = :at", "", {":at": now()})
                    for item in batch
                ]
            )
        self._known |= {(item["pk"], item["sk"]): None for item in items}

    def _record(self, items: Iterable[SightItem]) -> None:
        """Together where all of them are new and have room, else one by one."""
        for batch in batched(items, TRANSACTION_LIMIT - 1, strict=False):
            if not self._put(batch) and len(batch) > 1:
                for item in batch:
                    self._put([item])

    def _put(self, items: Sequence[SightItem]) -> bool:
        """False when one of them is there, or there is no room for all."""
        puts = [
            self._table.update_action(
                item["pk"],
                item["sk"],
                "SET " + " , ".join(f"#{name} = :{name}" for name in item if name not in ("pk", "sk")),
                "attribute_not_exists(pk)",
                {f":{name}": value for name, value in item.items() if name not in ("pk", "sk")},
            )
            for item in items
        ]
        count = self._table.update_action(
            items[0]["pk"],
            HEAD,
            "ADD sights :count",
            "attribute_not_exists(sights) OR sights <= :room",
            {":count": len(items), ":room": MAX_SIGHTS - len(items)},
        )
        return self._table.transact([*puts, count])


def _item(origin: Origin, chunk: int, dataset: str, sight: Sight, offset: int) -> SightItem:
    return SightItem(
        pk=schema_pk(dataset),
        sk=sight_sk(sight),
        dataset=dataset,
        column=shown_name(sight.column),
        type=sight.type,
        declared=sight.declared,
        object_id=origin.object_id,
        chunk=chunk,
        source_key=origin.key,
        offset=offset,
        seen_at=now(),
    )


def _still_to_notify(item: dict[str, Any]) -> tuple[str, int] | None:
    """The object and chunk that have to notify a sight; None when they have."""
    return None if "notified_at" in item else (str(item["object_id"]), int(item["chunk"]))
