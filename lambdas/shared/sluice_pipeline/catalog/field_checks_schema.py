"""The JSON Schema of the checks of fields and rows, and of aliases."""

from typing import Any, Final

from sluice_pipeline.catalog import conditions
from sluice_pipeline.catalog.field_checks import NAME_CHARACTERS, PATTERN_CHARACTERS

_COUNT: Final = {"type": "integer", "minimum": 0}
_ALIAS: Final = {"type": "string", "minLength": 1, "maxLength": NAME_CHARACTERS}
_OF_TEXTS: Final = ("pattern", "length")

FIELD_PROPERTIES: Final[dict[str, Any]] = {
    "aliases": {
        "type": "array",
        "items": _ALIAS,
        "description": "Other names of the field in files: JSON members or CSV columns, case included.",
    },
    "pattern": {
        "type": "string",
        "minLength": 1,
        "maxLength": PATTERN_CHARACTERS,
        "description": "A regular expression (RE2) for the whole text.",
    },
    "length": {
        "anyOf": [
            _COUNT,
            {
                "type": "object",
                "minProperties": 1,
                "properties": {"min": _COUNT, "max": _COUNT},
                "additionalProperties": False,
            },
        ],
        "description": "How many characters the text has: a number, or min and max, inclusive.",
    },
    "multiple_of": {
        "type": "number",
        "exclusiveMinimum": 0,
        "description": "The value is an exact multiple of this, such as 0.05.",
    },
    "unique": {"type": "boolean", "description": "Whether no two rows of an object have the same value."},
}

DATASET_PROPERTIES: Final[dict[str, Any]] = {
    "checks": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": conditions.CHARACTERS},
        "description": "Conditions that each row fulfils, such as delivered_at >= shipped_at (docs/rows.md).",
    },
    "unique": {
        "type": "array",
        "items": {"type": "string"},
        "uniqueItems": True,
        "description": "Fields whose values together no two rows of an object have.",
    },
}


def forbidden(kind: str) -> dict[str, Any]:
    """The checks that a field of this type cannot have, as properties of a schema."""
    names = [name for name in _OF_TEXTS if kind != "string"]
    if kind not in ("int64", "decimal"):
        names.append("multiple_of")
    found: dict[str, Any] = dict.fromkeys(names, False)
    if kind == "int64":
        found["multiple_of"] = {"type": "integer"}
    if kind in ("float64", "json"):
        found["unique"] = {"const": False}
    return found
