"""The section ``quality`` of a dataset: what is expected of its rows before they become visible."""

from typing import Any, Final

from sluice_pipeline.catalog.expectations import (
    EXPECTATIONS,
    MAX_EXPECTATIONS,
    MAX_HOURS,
    SECTION,
    Expectation,
    parse_expectations,
)
from sluice_pipeline.catalog.fields import NAME
from sluice_pipeline.catalog.sections import Section, register

_ROWS: Final = {"type": "integer", "minimum": 0}
_SETTINGS: Final[dict[str, Any]] = {
    "field": {"type": "string", "description": "The field that the expectation is about."},
    "min_rows": _ROWS | {"description": "The least number of rows of an object."},
    "max_rows": _ROWS | {"description": "The greatest number of rows of an object."},
    "not_null": {"const": True, "description": "Every row has a value."},
    "unique": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "uniqueItems": True,
        "description": "Fields whose values no two rows of an object share.",
    },
    "min": {"type": "number", "description": "The least value, inclusive."},
    "max": {"type": "number", "description": "The greatest value, inclusive."},
    "allowed": {
        "type": "array",
        "items": {"type": ["string", "integer"]},
        "minItems": 1,
        "description": "The only values.",
    },
    "pattern": {"type": "string", "format": "regex", "description": "A regular expression for the whole value."},
    "within_hours": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": MAX_HOURS,
        "description": "How much older than the object's arrival the newest value may be.",
    },
    "condition": {"type": "string", "minLength": 1, "description": "True of every row: delivered_at >= shipped_at."},
    "mostly": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "The least part of the rows that has to fulfil it; 1 when it is not given.",
    },
    "hard": {"type": "boolean", "description": "Whether the object is withheld when it does not hold."},
}
# Exactly one line of these makes an expectation.
_OF_FIELD: Final = (("not_null",), ("min", "max"), ("allowed",), ("pattern",), ("within_hours",))
_OF_ROWS: Final = (("min_rows", "max_rows"), ("unique",), ("condition",))
_WHOLE: Final = ("min_rows", "max_rows", "within_hours")


def _one_of() -> list[dict[str, Any]]:
    kinds = [*_OF_FIELD, *_OF_ROWS]
    found = []
    for settings in kinds:
        others = [name for kind in kinds if kind != settings for name in kind]
        none_of = [*others, *(() if settings in _OF_FIELD else ("field",))]
        none_of += ["mostly"] if settings[0] in _WHOLE else []
        found.append(
            {
                "required": ["field"] if settings in _OF_FIELD else [],
                "anyOf": [{"required": [name]} for name in settings],
                "not": {"anyOf": [{"required": [name]} for name in none_of]},
            }
        )
    return found


QUALITY: Final[Section[tuple[Expectation, ...]]] = register(
    Section(
        name=SECTION,
        parse=parse_expectations,
        json_schema={
            "type": "object",
            "description": "What is expected of an object's rows before they become visible. A hard expectation that "
            "does not hold withholds the object; a soft one is reported.",
            "properties": {
                EXPECTATIONS: {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": MAX_EXPECTATIONS,
                    "propertyNames": {"pattern": f"^{NAME.pattern}$"},
                    "additionalProperties": {
                        "type": "object",
                        "properties": _SETTINGS,
                        "additionalProperties": False,
                        "oneOf": _one_of(),
                    },
                }
            },
            "required": [EXPECTATIONS],
            "additionalProperties": False,
        },
    )
)
