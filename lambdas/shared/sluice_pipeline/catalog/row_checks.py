"""A dataset's settings ``checks`` (conditions on a row) and ``unique`` (values that no two rows of an object share)."""

from collections.abc import Mapping, Sequence
from typing import Any

from sluice_pipeline.catalog.conditions import BadCondition, Condition, parse_condition
from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.catalog.field_checks import require_comparable
from sluice_pipeline.catalog.fields import Field


def parse_checks(raw: Any, fields: Mapping[str, Field], file: str) -> tuple[Condition, ...]:
    """Reads ``[delivered_at >= shipped_at, ...]``; raises CatalogError for what is no condition on the fields."""
    if not isinstance(raw, list):
        raise CatalogError(file, "checks", "is not a list of conditions, such as [delivered_at >= shipped_at]")
    found = []
    for number, text in enumerate(raw, 1):
        try:
            found.append(parse_condition(text, fields))
        except BadCondition as bad:
            shown = f"{text!r}: " if isinstance(text, str) else ""
            raise CatalogError(file, f"checks ({number})", f"{shown}{bad}") from bad
    return tuple(found)


def parse_unique(raw: Any, fields: Mapping[str, Field], file: str) -> tuple[tuple[str, ...], ...]:
    """Each field that is ``unique``, and the fields that are so together (``[order_id, line]``).

    Raises:
        CatalogError: a name is no field, or one whose values cannot be compared.
    """
    alone = [(field.name,) for field in fields.values() if field.checks.unique]
    if not isinstance(raw, list) or not all(isinstance(name, str) for name in raw):
        raise CatalogError(file, "unique", "is not a list of fields, such as [order_id, line]")
    if len(set(raw)) != len(raw):
        raise CatalogError(file, "unique", "names a field twice")
    for name in raw:
        if name not in fields:
            raise CatalogError(file, "unique", f"names no field: {name!r}")
        require_comparable(fields[name].type, file, f"unique ({name})")
    return (*alone, *([tuple(raw)] if raw and tuple(raw) not in alone else []))


def check_aliases(fields: Sequence[Field], file: str, fixed: str) -> None:
    """Raises CatalogError when two fields claim one name; ``fixed`` is the name of the field that may have no other."""
    owner = {field.name: field.name for field in fields}
    for field in fields:
        for alias in field.checks.aliases:
            if field.name == fixed:
                raise CatalogError(file, f"fields.{field.name}.aliases", "rows are routed by this name alone")
            if alias in owner:
                raise CatalogError(file, f"fields.{field.name}.aliases", f"{alias!r} already names {owner[alias]}")
            owner[alias] = field.name
