"""Records of a table's changes."""

from typing import Any

from sluice_ext.dynamodb.values import Attributes


def record(table: Any, key: Attributes, before: Attributes | None, after: Attributes | None) -> None:
    """Append a record."""
