"""A table for each dataset, and a column for each of its fields. Nothing is ever dropped or converted here."""

from typing import Any

import psycopg
from psycopg import sql

from sluice_pipeline.catalog.contract import UNNAMED, ColumnsContract
from sluice_pipeline.catalog.current import current_name
from sluice_pipeline.catalog.datasets import Catalog, Dataset
from warehouse.database import LINEAGE, OBJECT_ID, OFFSET, SILVER, column_type, silver_table


class ColumnTypeChanged(RuntimeError):
    """A field's type is not its column's: the operator decides in a migration what becomes of the rows."""


def ensure(connection: psycopg.Connection[Any], catalog: Catalog) -> dict[str, str]:
    """What was done to which table: "made", or the columns that were added.

    The column of a field that a dataset no longer has stays, with the values of rows loaded before.

    Raises:
        ColumnTypeChanged: nothing was changed then.
    """
    done = {}
    with connection.transaction():
        for dataset in catalog.datasets.values():
            columns = _columns(connection, dataset.name)
            if not columns:
                _make(connection, dataset)
                done[dataset.name] = "made"
            elif added := _add(connection, dataset, columns):
                done[dataset.name] = f"added {', '.join(added)}"
    return done


def wanted(dataset: Dataset) -> dict[str, str]:
    """Columns of a dataset's table and their types, lineage last."""
    unnamed = {UNNAMED: "jsonb"} if dataset.contract.columns == ColumnsContract.EVOLVE else {}
    return {field.name: column_type(field) for field in dataset.fields} | unnamed | LINEAGE


def _columns(connection: psycopg.Connection[Any], table: str) -> dict[str, str]:
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND attnum > 0 AND NOT attisdropped",
        (SILVER, table),
    )
    return dict(rows.fetchall())


def _make(connection: psycopg.Connection[Any], dataset: Dataset) -> None:
    """An object's rows are deleted and found by its id; no row of it can be there twice."""
    table = silver_table(dataset.name)
    columns = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in wanted(dataset).items()]
    key = sql.SQL("PRIMARY KEY ({}, {})").format(sql.Identifier(OBJECT_ID), sql.Identifier(OFFSET))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join([*columns, key])))
    # Rows of a file are stored together and are of a few days, so a small index covers millions of them.
    connection.execute(
        sql.SQL("CREATE INDEX ON {} USING brin ({})").format(table, sql.Identifier(dataset.partition_by))
    )


def _add(connection: psycopg.Connection[Any], dataset: Dataset, found: dict[str, str]) -> list[str]:
    added = []
    for name, kind in wanted(dataset).items():
        if name not in found:
            added.append(name)
            connection.execute(
                sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                    silver_table(dataset.name), sql.Identifier(name), sql.SQL(kind)
                )
            )
        elif found[name] != kind:
            raise ColumnTypeChanged(
                f"{SILVER}.{dataset.name}.{name} is {found[name]}, the dataset says {kind}: write a migration in "
                f"lambdas/warehouse/migrate/migrations that converts it (and drops the view "
                f"{current_name(dataset.name)}, if there is one, before), or give the field another name"
            )
    return added
