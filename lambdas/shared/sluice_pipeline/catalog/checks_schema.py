"""The JSON Schema of a section of checks (``checks``), for the branches that have one."""

from collections.abc import Collection
from typing import Any, Final

from sluice_pipeline.catalog.checks import FIELD_CHECKS, FILE_CHECKS, TIME_CHECKS
from sluice_pipeline.catalog.fields import NAME

_COUNT: Final = {"type": "integer", "minimum": 1}
_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "field": {"type": "string", "description": "The field that is checked."},
    "min": {"type": "number", "description": "The least value, inclusive."},
    "max": {"type": "number", "description": "The greatest value, inclusive."},
    "not_empty": {"type": "boolean", "description": "Whether every row needs a value that is not blank."},
    "allowed": {"type": "array", "items": {"type": ["string", "integer"]}, "description": "The only values."},
    "pattern": {"type": "string", "format": "regex", "description": "A regular expression for the whole value."},
    "unique": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "description": "Fields whose values no two rows of a file share.",
    },
    "min_rows": _COUNT | {"description": "The least number of rows in a file."},
    "burst": _COUNT | {"description": "The most rows of one person within within_seconds."},
    "within_seconds": _COUNT | {"description": "The length of the window of burst."},
    "hard": {"type": "boolean", "description": "Whether a row that fails stops the run."},
}


def checks_schema(description: str, person: str, checks: str, kinds: Collection[str]) -> dict[str, Any]:
    """The schema of ``{<person>: <field>, <checks>: {<name>: {...}}}``; ``kinds`` as for ``parse_row_checks``."""
    others = [setting for setting in (*FILE_CHECKS, *TIME_CHECKS) if setting in kinds]
    check = {
        "type": "object",
        "properties": {name: setting for name, setting in _SETTINGS.items() if name in kinds},
        "additionalProperties": False,
        "oneOf": [
            {"required": ["field"], "anyOf": _any_of(FIELD_CHECKS), "not": {"anyOf": _any_of(others)}},
            {"anyOf": _any_of(others), "not": {"anyOf": _any_of(("field", *FIELD_CHECKS))}},
        ],
        "not": {"required": list(FILE_CHECKS)},
        "dependentRequired": {"burst": ["within_seconds"], "within_seconds": ["burst"]},
    }
    return {
        "type": "object",
        "description": description,
        "properties": {
            person: {"type": "string", "description": "The required string field that names the person of a row."},
            checks: {
                "type": "object",
                "propertyNames": {"pattern": f"^{NAME.pattern}$"},
                "additionalProperties": check,
            },
        },
        "required": [person],
        "additionalProperties": False,
    }


def _any_of(settings: Collection[str]) -> list[dict[str, Any]]:
    return [{"required": [setting]} for setting in settings]
