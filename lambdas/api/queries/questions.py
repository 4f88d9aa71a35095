"""A question to the warehouse: SQL whose identifiers come from lists only, and values that are always bound."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from api.answers import refused
from sluice_pipeline.catalog.datasets import Dataset
from sluice_pipeline.catalog.deployed import load_catalog
from sluice_pipeline.catalog.fields import Field
from warehouse.database import silver_table

DATE = "date"  # groups by the UTC date of a dataset's time
_GROUPED = {"string", "bool", "int64"}
_MEASURED = {"int64", "float64"}


@dataclass(frozen=True, slots=True)
class Question:
    """``foreign``: the caller wrote the SQL, so what PostgreSQL finds wrong with it is the caller's to know."""

    sql: sql.SQL | sql.Composed
    values: tuple[Any, ...] = ()
    limit: int = 100
    foreign: bool = False


def dataset(name: str) -> Dataset:
    """Raises ApiError (400) with the names there are."""
    datasets = load_catalog().datasets
    if name not in datasets:
        raise refused(f"dataset {name!r} is not known", f"use one of {_names(datasets)}")
    return datasets[name]


def group_column(of: Dataset, name: str) -> sql.Composable:
    """What rows are grouped by. Raises ApiError (400)."""
    columns = {field.name for field in of.fields if field.type in _GROUPED}
    if name in columns:
        return sql.Identifier(name)
    if name == DATE:
        return sql.SQL("({} AT TIME ZONE 'UTC')::date").format(sql.Identifier(of.partition_by))
    raise refused(f"{of.name} cannot be grouped by {name!r}", f"use one of {_names(columns | {DATE})}")


def measure_column(of: Dataset, name: str) -> sql.Identifier:
    """A numeric column. Raises ApiError (400)."""
    columns = {field.name for field in of.fields if _numeric(field)}
    if name not in columns:
        raise refused(f"{of.name} has no numeric column {name!r}", f"use one of {_names(columns)}")
    return sql.Identifier(name)


def between(column: str, since: str | None, until: str | None) -> tuple[sql.Composable, tuple[Any, ...]]:
    """``WHERE`` with both ends that are given; nothing without."""
    parts: list[sql.Composable] = []
    values: list[Any] = []
    for operator, value in (sql.SQL(">="), since), (sql.SQL("<"), until):
        if value is not None:
            parts.append(sql.SQL("{} {} %s::timestamptz").format(sql.Identifier(column), operator))
            values.append(value)
    clause = sql.SQL("WHERE ") + sql.SQL(" AND ").join(parts) if parts else sql.SQL("")
    return clause, tuple(values)


def from_silver(of: Dataset, since: str | None, until: str | None) -> tuple[sql.Composed, tuple[Any, ...]]:
    """``FROM`` a dataset's table, with its time in the range."""
    where, values = between(of.partition_by, since, until)
    return sql.SQL("FROM {} {}").format(silver_table(of.name), where), values


def _numeric(field: Field) -> bool:
    return field.type in _MEASURED or field.decimal is not None


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
