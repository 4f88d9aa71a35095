"""Canonical entities: the staged rows of an object become entities, their history, relationships and time series.

All in SQL on whole sets, in the transaction that loads the rows, so that entities and silver never differ. Rows of all
datasets are collected first and written then, entities in the order of their canonical ids: two objects with the
same entities wait for each other without a deadlock. What the statements mean is in docs/entities.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from sluice_pipeline.catalog.datasets import Catalog
from warehouse.database import OFFSET
from warehouse.entities import canonical_sql as statements
from warehouse.entities.model import BY_CANONICAL_ID, EntitySection, Link, required_by_type
from warehouse.entities.schema import ENTITY


@dataclass(frozen=True, slots=True)
class Written:
    """Entities that a load has made or changed, and those that no record supports any more."""

    versions: int
    withdrawn: int


NOTHING: Final = Written(0, 0)


class Canonical:
    """Collects what one transaction stages, and writes it at its end."""

    def __init__(self, catalog: Catalog) -> None:
        self._sections = ENTITY.all(catalog)
        self._required = required_by_type(self._sections.values())

    def applies_to(self, datasets: Iterable[str]) -> bool:
        """Whether rows of one of these datasets become entities."""
        return not self._sections.keys().isdisjoint(datasets)

    def begin(self, connection: psycopg.Connection[Any]) -> None:
        """Makes the tables in which rows are collected, gone when the transaction ends."""
        for statement in statements.TABLES:
            connection.execute(statement)

    def collect(self, connection: psycopg.Connection[Any], dataset: str, stage: sql.Identifier) -> None:
        """Collects the staged rows of a dataset; a dataset without an entity section has none."""
        section = self._sections.get(dataset)
        if section is None:
            return
        connection.execute(_rows(dataset, section, self._required, stage))
        for link in section.links:
            connection.execute(_links(section, link, stage))
        for metric, column in section.time_series:
            connection.execute(_points(section, metric, column, stage))

    def write(
        self, connection: psycopg.Connection[Any], object_id: UUID, received_at: datetime, again: bool
    ) -> Written:
        """Writes what was collected. ``received_at``: when the object came.

        ``again``: a run of it was loaded before; what that run wrote and this one does not is removed.
        """
        values = {"object_id": object_id, "received_at": received_at}

        def run(*some: LiteralString) -> psycopg.Cursor[Any]:
            *first, last = some
            for statement in first:
                connection.execute(statement, values)
            return connection.execute(last, values)

        connection.execute(statements.ANALYZE)
        run(statements.MAKE, statements.LOCK)
        if again:
            run(*statements.SWEEP)
        versions = _one(run(statements.STATES, statements.COUNT))
        run(*statements.HISTORY, statements.ENTITIES, *statements.MAPPINGS)
        withdrawn = run(statements.WITHDRAW).rowcount
        run(*statements.LINKS, *statements.POINTS)
        return Written(versions, withdrawn)


def _one(cursor: psycopg.Cursor[Any]) -> int:
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _type(section: EntitySection) -> sql.Composable:
    return sql.Identifier(section.type_field) if section.type_field else sql.Literal(section.types[0])


def _text(column: str) -> sql.Composable:
    """A column as text; NULL for a field that the section does not name."""
    return sql.SQL("{}::text").format(sql.Identifier(column)) if column else sql.SQL("NULL::text")


def _own_id(section: EntitySection) -> sql.Composable:
    return sql.SQL("canonical.canonical_id({}, {}, {}, {})").format(
        sql.Literal(section.source_system), _type(section), _text(section.source_id), _shared_id(section)
    )


def _shared_id(section: EntitySection) -> sql.Composable:
    if not section.canonical_ids:
        return sql.SQL("NULL::text")
    whens = sql.SQL(" ").join(
        sql.SQL("WHEN {} THEN {}").format(sql.Literal(kind), _text(column)) for kind, column in section.canonical_ids
    )
    return sql.SQL("CASE {} {} END").format(_type(section), whens)


def _at(column: str) -> sql.Composable:
    return sql.SQL("{}::timestamptz").format(sql.Identifier(column))


def _rows(
    dataset: str, section: EntitySection, required: Mapping[str, list[str]], stage: sql.Identifier
) -> sql.Composed:
    pairs = sql.SQL(", ").join(
        sql.SQL("{}, {}").format(sql.Literal(name), sql.Identifier(name)) for name in section.attributes
    )
    missing = sql.SQL(", ").join(
        sql.SQL("CASE WHEN {} IS NULL THEN {} END").format(sql.Identifier(name), sql.Literal(name))
        for name in section.attributes
    )
    needed = sql.SQL(" ").join(
        sql.SQL("WHEN {} THEN {}::text[]").format(sql.Literal(kind), sql.Literal(required[kind]))
        for kind in section.types
    )
    return sql.SQL("""
        INSERT INTO incoming SELECT *, canonical.entity_id(own_id) FROM (
            SELECT {own_id} AS own_id, {type}, {system}, canonical.key_part({source_id}), {at}, {offset},
                {owned}::text[], jsonb_build_object({pairs}) - array_remove(ARRAY[{missing}], NULL),
                CASE {type} {needed} END, coalesce({status}, 'active'), {tier},
                jsonb_build_object('dataset', {dataset}, 'source_system', {system}, 'source_id', {source_id},
                    'source_key', _source_key, 'record_id', _record_id)
            FROM {stage}
        ) AS rows
    """).format(
        own_id=_own_id(section),
        type=_type(section),
        system=sql.Literal(section.source_system),
        source_id=_text(section.source_id),
        at=_at(section.updated_at),
        offset=sql.Identifier(OFFSET),
        owned=sql.Literal(list(section.attributes)),
        pairs=pairs,
        missing=missing,
        needed=needed,
        status=_text(section.status),
        tier=_tier(section),
        dataset=sql.Literal(dataset),
        stage=stage,
    )


def _tier(section: EntitySection) -> sql.Composable:
    if section.tiers is None:
        return sql.SQL("NULL::text")
    whens = sql.SQL(" ").join(
        sql.SQL("WHEN {} >= {} THEN {}").format(sql.Identifier(section.tiers.field), least, sql.Literal(name))
        for name, least in section.tiers.levels
    )
    return sql.SQL("CASE {} ELSE {} END").format(whens, sql.Literal(section.tiers.otherwise))


def _links(section: EntitySection, link: Link, stage: sql.Identifier) -> sql.Composed:
    shared = link.by == BY_CANONICAL_ID
    other = sql.SQL("canonical.canonical_id({}, {}, {}, {})").format(
        sql.Literal(section.source_system),
        sql.Literal(link.other_type),
        _text("" if shared else link.other),
        _text(link.other if shared else ""),
    )
    ends = (other, _own_id(section)) if link.parent else (_own_id(section), other)
    begins = _at(section.updated_at)
    if link.begins:
        begins = sql.SQL("coalesce({}, {})").format(_at(link.begins), begins)
    return sql.SQL("""
        INSERT INTO incoming_links SELECT *, canonical.entity_id(parent), canonical.entity_id(child) FROM (
            SELECT {parent} AS parent, {child} AS child, {name}, {begins}, {ends}, {exclusive}, {stated}, {other},
                {other_type}, {system}, {at}, {offset}
            FROM {stage} WHERE {column} IS NOT NULL
        ) AS links
    """).format(
        parent=ends[0],
        child=ends[1],
        name=sql.Literal(link.name),
        begins=begins,
        ends=_at(link.ends) if link.ends else sql.SQL("NULL::timestamptz"),
        exclusive=sql.Literal(link.exclusive),
        stated=sql.SQL("{} IS NOT NULL").format(sql.Identifier(link.begins)) if link.begins else sql.SQL("false"),
        other=other,
        other_type=sql.Literal(link.other_type),
        system=sql.Literal(section.source_system),
        at=_at(section.updated_at),
        offset=sql.Identifier(OFFSET),
        stage=stage,
        column=sql.Identifier(link.other),
    )


def _points(section: EntitySection, metric: str, column: str, stage: sql.Identifier) -> sql.Composed:
    return sql.SQL("""
        INSERT INTO incoming_points SELECT *, canonical.entity_id(own_id) FROM (
            SELECT {own_id} AS own_id, {metric}, {at}, {value}, {offset} FROM {stage} WHERE {value} IS NOT NULL
        ) AS points
    """).format(
        own_id=_own_id(section),
        metric=sql.Literal(metric),
        at=_at(section.updated_at),
        value=sql.Identifier(column),
        offset=sql.Identifier(OFFSET),
        stage=stage,
    )
