"""A dataset's setting ``contract``: what becomes of columns that no field names, and of values of another type."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.catalog.fields import refuse_unknown

UNNAMED: Final = "_unnamed"  # the column of silver that stores what no field names; no field can have this name


class ColumnsContract(StrEnum):
    """What becomes of a value in a column that no field names. A null is no value."""

    EVOLVE = "evolve"  # kept in the column _unnamed
    FREEZE = "freeze"  # the object fails
    QUARANTINE = "quarantine"  # the row is rejected
    DISCARD = "discard"  # dropped


class TypesContract(StrEnum):
    """What becomes of a value of another type than its field's: the row is rejected in both cases."""

    FREEZE = "freeze"
    WIDEN = "widen"  # and a wider type is proposed


@dataclass(frozen=True, slots=True)
class Contract:
    columns: ColumnsContract = ColumnsContract.DISCARD
    types: TypesContract = TypesContract.FREEZE


SETTINGS: Final = {"columns": ColumnsContract, "types": TypesContract}


def parse_contract(raw: Any, file: str) -> Contract:
    """Reads ``{columns: quarantine, types: widen}``; each may be left out.

    Raises:
        CatalogError: a setting is unknown or has an unknown word.
    """
    if not isinstance(raw, dict):
        raise CatalogError(file, "contract", "is not a mapping such as {columns: quarantine}")
    refuse_unknown(raw, SETTINGS, file, "contract.")
    for name, words in SETTINGS.items():
        if name in raw and raw[name] not in list(words):
            raise CatalogError(file, f"contract.{name}", f"{raw[name]!r} is none of {', '.join(words)}")
    return Contract(
        ColumnsContract(raw.get("columns", ColumnsContract.DISCARD)),
        TypesContract(raw.get("types", TypesContract.FREEZE)),
    )


def contract_schema() -> dict[str, Any]:
    """The part of the JSON Schema that describes the setting."""
    return {
        "type": "object",
        "description": "What becomes of columns that no field names, and of values of another type than their field's.",
        "properties": {
            "columns": {
                "enum": [str(word) for word in ColumnsContract],
                "description": f"Of columns that no field names: kept in {UNNAMED}, the object fails, the row is "
                "rejected, or dropped (when it is not given).",
            },
            "types": {
                "enum": [str(word) for word in TypesContract],
                "description": "Of values of another type: the row is rejected; widen proposes the wider type, too.",
            },
        },
        "additionalProperties": False,
    }
