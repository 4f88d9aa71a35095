"""What an entity section says, parsed: the types that rows become, their ids, attributes, links and totals."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

BY_SOURCE_ID: Final = "source_id"
BY_CANONICAL_ID: Final = "canonical_id"


@dataclass(frozen=True, slots=True)
class Tiers:
    """``levels``: name and least value, highest first; ``otherwise`` is the tier of all others."""

    field: str
    levels: tuple[tuple[str, float], ...]
    otherwise: str


@dataclass(frozen=True, slots=True)
class Link:
    """A relationship of type ``name`` to the entity that the field ``other`` names, by ``by`` (one of the BY_ values).

    ``parent``: the other one is the parent. ``begins`` and ``ends`` are fields, empty for the record's time and for no
    end. ``exclusive``: a child has one parent at a time, so a new one ends what was.
    """

    name: str
    other: str
    other_type: str
    parent: bool
    by: str
    begins: str
    ends: str
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Control totals: ``dataset`` holds the files' summaries; its field ``records`` counts the rows of a file, ``sums``
    are (field, field of the summary that holds its sum). ``required``: a file without a summary is a difference."""

    dataset: str
    records: str
    sums: tuple[tuple[str, str], ...]
    required: bool


@dataclass(frozen=True, slots=True)
class EntitySection:
    """``types``: the entity types that rows may be; with more than one, the field ``type_field`` says which.
    ``canonical_ids``: (type, field that holds an id which several systems share); ``required``: (type, attributes).
    """

    source_system: str
    types: tuple[str, ...]
    type_field: str
    source_id: str
    canonical_ids: tuple[tuple[str, str], ...]
    updated_at: str
    status: str
    attributes: tuple[str, ...]
    required: tuple[tuple[str, tuple[str, ...]], ...]
    tiers: Tiers | None
    links: tuple[Link, ...]
    time_series: tuple[tuple[str, str], ...]
    totals: Totals | None


def required_by_type(sections: Iterable[EntitySection]) -> dict[str, list[str]]:
    """The attributes that an entity of a type should have, whichever source gives them."""
    found: dict[str, list[str]] = {}
    for section in sections:
        for kind in section.types:
            mine = found.setdefault(kind, [])
            mine += [name for name in dict(section.required).get(kind, ()) if name not in mine]
    return found
