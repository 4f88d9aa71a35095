"""The JSON Schema of an entity section (``schema.parse_entity`` checks the same, and more)."""

from typing import Any, Final

from sluice_pipeline.catalog.fields import NAME
from warehouse.entities.model import BY_CANONICAL_ID, BY_SOURCE_ID

_WORD: Final = {"type": "string", "pattern": f"^{NAME.pattern}$"}
_FIELD: Final = {"type": "string", "description": "A field of the dataset."}
_FIELDS: Final = {"type": "array", "items": {"type": "string"}}


def _object(properties: dict[str, Any], required: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A mapping of these settings and no others."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, "additionalProperties": False} | needed | more


def _named(values: dict[str, Any]) -> dict[str, Any]:
    """A mapping of names that the section chooses."""
    return {"type": "object", "propertyNames": _WORD, "additionalProperties": values}


def _for_each_type(value: dict[str, Any]) -> dict[str, Any]:
    """One value for all entity types or, as a mapping, one for some of them."""
    return {"anyOf": [value, {"type": "object", "additionalProperties": value}]}


_RELATIONSHIP: Final = _object(
    {
        "parent": _FIELD | {"description": "The field that names the parent."},
        "child": _FIELD | {"description": "The field that names the child."},
        "type": _WORD | {"description": "The other entity's type."},
        "by": {"enum": [BY_SOURCE_ID, BY_CANONICAL_ID], "description": "Which id the field holds; else source_id."},
        "from": _FIELD | {"description": "When the relationship begins; else the row's own time."},
        "to": _FIELD | {"description": "When the relationship ends; else it has no end."},
        "exclusive": {"type": "boolean", "description": "Whether a child has one parent at a time."},
    },
    ("type",),
    oneOf=[{"required": ["parent"]}, {"required": ["child"]}],
    dependentSchemas={"child": {"properties": {"exclusive": {"const": False}}}},
)

ENTITY_SCHEMA: Final = _object(
    {
        "source_system": _WORD | {"description": "The system that the rows come from."},
        "type": {
            "anyOf": [_WORD, _object({"field": _FIELD}, ("field",))],
            "description": "The entity type, or the field that holds it.",
        },
        "source_id": _FIELD | {"description": "The required field that holds the id in the source system."},
        "canonical_id": _for_each_type(_FIELD) | {"description": "The field of an id that several systems share."},
        "updated_at": _FIELD | {"description": "When the row was true; else partition_by."},
        "status": _FIELD | {"description": "The field of the entity's status; else every entity is active."},
        "attributes": _FIELDS | {"minItems": 1, "description": "The fields that become attributes."},
        "required": _for_each_type(_FIELDS) | {"description": "The attributes that count for the quality score."},
        "tiers": _object(
            {"field": _FIELD, "levels": _named({"type": "number"}), "else": _WORD},
            ("field", "else"),
            description="The tier of an entity: the highest level that the field reaches.",
        ),
        "relationships": _named(_RELATIONSHIP) | {"description": "Relationships by their type."},
        "time_series": _named(_FIELD) | {"description": "Metrics by name, and the number field of each."},
        "totals": _object(
            {
                "dataset": _WORD | {"description": "The dataset of a file's summaries."},
                "records": _WORD | {"description": "The summary's field that counts the file's rows."},
                "sums": {"type": "object", "additionalProperties": _WORD},
                "required": {"type": "boolean", "description": "Whether a file without a summary is a difference."},
            },
            ("dataset",),
            anyOf=[{"required": ["records"]}, {"required": ["sums"], "properties": {"sums": {"minProperties": 1}}}],
            description="Control totals: what a file's summary says of its rows.",
        ),
    },
    ("source_system", "type", "source_id", "attributes"),
    description="Rows become canonical entities of the warehouse (docs/entities.md).",
)
