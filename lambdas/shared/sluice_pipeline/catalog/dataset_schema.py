"""The JSON Schema of a dataset's YAML, made of the fields' rules and the sections of all branches.

Editors complete and check dataset files with it. What depends on another place of the file (a key that names no field)
only the build checks. ``python -m sluice_pipeline.catalog > datasets/schema.json`` writes the file.
"""

from typing import Any, Final

from sluice_pipeline.catalog.contract import contract_schema
from sluice_pipeline.catalog.datasets import MIXED
from sluice_pipeline.catalog.field_checks_schema import DATASET_PROPERTIES, FIELD_PROPERTIES, forbidden
from sluice_pipeline.catalog.fields import NAME, RFC_3339, TYPES, UNITS
from sluice_pipeline.catalog.sections import discover_sections

_NAME: Final = {"type": "string", "pattern": f"^{NAME.pattern}$"}
_STRINGS: Final = {"type": "array", "items": {"type": "string", "minLength": 1}}
_FORMAT: Final = {"type": "string", "pattern": f"%|^{RFC_3339}$"}
_DECIMAL: Final = r"^decimal\((0?[1-9]|[12]\d|3[0-8]),\s*([012]?\d|3[0-8])\)$"


def json_schema() -> dict[str, Any]:
    """The schema, with the sections of every branch below lambdas/."""
    sections = {name: dict(section.json_schema) for name, section in discover_sections().items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A dataset of the pipeline",
        "description": "One file below datasets/, named after its dataset.",
        "type": "object",
        "properties": _dataset_properties() | sections,
        "required": ["dataset", "partition_by", "fields"],
        "dependentRequired": {"current_by": ["key"]},
        "additionalProperties": False,
    }


def _dataset_properties() -> dict[str, Any]:
    return {
        "dataset": _NAME
        | {"not": {"const": MIXED}, "description": f"The prefix below bronze/, and the file's name; not {MIXED}."},
        "description": {"type": "string"},
        "record_types": _STRINGS
        | {"description": f"Values of record_type that route a row of bronze/{MIXED}/ to this dataset."},
        "partition_by": {
            "type": "string",
            "description": "A required timestamp or date field; its UTC date names the silver partition dt=YYYY-MM-DD.",
        },
        "key": _STRINGS
        | {"description": "Required fields that name a thing. <dataset>_current has the newest row of each key."},
        "current_by": _NAME
        | {"description": "The timestamp, date or number that is greatest in a key's newest row; arrival without it."},
        "fields": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": _NAME,
            "additionalProperties": _field(),
        },
        "records_at": {
            "type": "string",
            "minLength": 1,
            "description": "The member of a JSON file's objects whose array holds the rows, such as Records.",
        },
        "csv": _csv(),
        **DATASET_PROPERTIES,
        "contract": contract_schema(),
    }


def _csv() -> dict[str, Any]:
    character = {"type": "string", "pattern": r"^[^\r\n\u0000\u0080-\U0010ffff]$"}
    texts = {"type": "array", "items": {"type": "string"}}
    return {
        "type": "object",
        "description": "How the dataset's CSV files are written.",
        "properties": {
            "delimiter": character | {"description": "Between fields; a comma when it is not given."},
            "quote": {
                "anyOf": [character, {"const": ""}],
                "description": "About a quoted field; empty when nothing is quoted.",
            },
            "null": {"anyOf": [{"type": "string"}, texts], "description": "Unquoted texts that stand for no value."},
            "header": texts | {"uniqueItems": True, "description": "The columns of files without a header line."},
        },
        "additionalProperties": False,
    }


def _field() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "type": {"anyOf": [{"enum": list(TYPES)}, {"type": "string", "pattern": _DECIMAL}]},
            "required": {"type": "boolean", "description": "Whether a row without a value goes to quarantine."},
            "min": {"type": "number", "description": "The least value, inclusive."},
            "max": {"type": "number", "description": "The greatest value, inclusive."},
            "allowed": {"type": "array", "items": {"type": ["string", "integer"]}, "description": "The only values."},
            "unit": {"enum": list(UNITS), "description": "What a timestamp's numbers count since 1970."},
            "format": {
                "anyOf": [_FORMAT, {"type": "array", "minItems": 1, "items": _FORMAT}],
                "description": f"Of a timestamp's or date's text, as Python's strptime; {RFC_3339} is one, too.",
            },
            "description": {"type": "string"},
            **FIELD_PROPERTIES,
        },
        "required": ["type"],
        "additionalProperties": False,
        "allOf": [
            _when("int64", min={"type": "integer"}, max={"type": "integer"}, allowed={"items": {"type": "integer"}}),
            *(_when(kind, unit=False) for kind in TYPES if kind != "timestamp"),
            *(_when(kind, format=False) for kind in TYPES if kind not in ("timestamp", "date")),
            _when("string", min=False, max=False, allowed={"items": {"type": "string"}}),
            _when("float64", allowed={"maxItems": 0}),
            *(
                _when(kind, min=False, max=False, allowed={"maxItems": 0})
                for kind in ("bool", "date", "timestamp", "json")
            ),
            *(_when(kind, **forbidden(kind)) for kind in TYPES),
            {
                "if": {"properties": {"type": {"pattern": "^decimal"}}, "required": ["type"]},
                "then": {
                    "properties": {"allowed": {"maxItems": 0}, "unit": False, "format": False} | forbidden("decimal")
                },
            },
        ],
    }


def _when(kind: str, **settings: Any) -> dict[str, Any]:
    """What a field of this type has for its other settings."""
    condition = {"properties": {"type": {"const": kind}}, "required": ["type"]}
    return {"if": condition, "then": {"properties": settings}}
