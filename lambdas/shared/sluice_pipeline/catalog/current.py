"""``<dataset>_current``: the newest row of each key, as a view beside a dataset that has a ``key``.

The newest row has the greatest ``current_by``, where the dataset names such a field and rows have a value; then its
object arrived last (the ledger's ``received_at``, which a replay does not change); then its object id is the greatest;
then it stands last in its object. No two rows are equal in all of these. The warehouse and ``sluice query`` make their
views of the one SELECT below, so they have the same rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from sluice_pipeline.catalog.errors import CatalogError

if TYPE_CHECKING:
    from sluice_pipeline.catalog.datasets import Dataset

SUFFIX: Final = "_current"
MAX_NAME: Final = 63  # https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
_ORDERED: Final = ("timestamp", "date", "int64", "float64")


def current_name(dataset: str) -> str:
    return dataset + SUFFIX


def current_select(
    dataset: Dataset, columns: Sequence[str], *, source: str, arrivals: str, object_id: str, has: Collection[str]
) -> str:
    """The view's SELECT, in SQL that PostgreSQL and DuckDB share. NULL in a key field is a value like others.

    ``columns``: what the view has. ``source``: the table of rows. ``arrivals``: a table or subquery with ``object_id``
    and ``received_at``. ``object_id``: that of a row, as an expression. ``has``: the columns of ``source``; a field
    that is not there yet has no value.
    """
    key = ", ".join(_quoted(name) for name in dataset.key if name in has) or "0"
    by = f"{_quoted(dataset.current_by)} DESC NULLS LAST, " if dataset.current_by in has else ""
    order = f"{by}__received DESC NULLS LAST, {object_id} DESC, _source_offset DESC"
    # The names inside begin with underscores, as no field's name does.
    return (
        f"SELECT {', '.join(map(_quoted, columns))} FROM (SELECT __rows.*, "
        f"row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS __place "
        f"FROM {source} AS __rows LEFT JOIN (SELECT object_id AS __object, received_at AS __received FROM {arrivals}) "
        f"AS __arrivals ON __object = {object_id}) AS __placed WHERE __place = 1"
    )


def check_current(dataset: Dataset, file: str) -> None:
    """Raises CatalogError: the key or ``current_by`` cannot say which row is the newest."""
    columns = dataset.columns
    for name in dataset.key:
        if columns[name].type == "json":
            raise CatalogError(file, "key", f"{name} is json, which has no equality: name a field of another type")
    if len(set(dataset.key)) != len(dataset.key):
        raise CatalogError(file, "key", "names a field twice")
    if dataset.key and len(current_name(dataset.name)) > MAX_NAME:
        room = MAX_NAME - len(SUFFIX)
        raise CatalogError(file, "dataset", f"has more than {room} characters, too many for the view <dataset>{SUFFIX}")
    by = dataset.current_by
    if not by:
        return
    if not dataset.key:
        raise CatalogError(file, "current_by", "needs a key, of which it finds the newest row")
    if by not in columns:
        raise CatalogError(file, "current_by", f"names no field: {by!r}")
    if columns[by].type not in _ORDERED and columns[by].decimal is None:
        raise CatalogError(file, "current_by", f"{by} is {columns[by].type}: name a timestamp, a date or a number")


def check_names(datasets: Mapping[str, Dataset]) -> None:
    """Raises CatalogError: a dataset has the name of another one's view."""
    for dataset in datasets.values():
        view = current_name(dataset.name)
        if dataset.key and view in datasets:
            raise CatalogError(f"{view}.yaml", "dataset", f"{view!r} is the view of {dataset.name}'s newest rows")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
