"""Whether an event has what a pattern wants.

An array stands for its elements, one of which must do. Fields inside the objects of an array must do in one and the
same object: ``{"i": {"a": [1], "b": [2]}}`` does not match ``{"i": [{"a": 1, "b": 3}, {"a": 4, "b": 2}]}``.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-arrays.html
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import count
from typing import Any

from sluice_ext.patterns.compiling import Field, Pattern
from sluice_ext.patterns.values import normalised

# Which element of which array a value is in: array's number to index.
Place = frozenset[tuple[int, int]]
_Found = dict[str, list[tuple[Any, Place]]]


def matches(pattern: Pattern, event: Any) -> bool:
    """Whether the pattern matches the event: a document of `loads` or of Python's own values."""
    if not isinstance(event, dict):
        return False
    fields: _Found = {}
    _collect(event, "", frozenset(), pattern.paths, fields, count())
    return any(_one_matches(alternative, fields) for alternative in pattern.alternatives)


def _collect(node: Any, path: str, place: Place, paths: frozenset[str], fields: _Found, arrays: Any) -> None:
    """The leaves that are on the paths. An empty array or object has none: its field does not exist."""
    if isinstance(node, dict):
        for name, value in node.items():
            below = f"{path}.{name}" if path else name
            if below not in paths:
                continue
            if isinstance(value, str):  # the usual field
                fields.setdefault(below, []).append((value, place))
            else:
                _collect(value, below, place, paths, fields, arrays)
    elif isinstance(node, list):
        array = next(arrays)
        for index, value in enumerate(node):
            _collect(value, path, place | {(array, index)}, paths, fields, arrays)
    else:
        fields.setdefault(path, []).append((normalised(node), place))


def _one_matches(alternative: Mapping[str, Field], fields: _Found) -> bool:
    places: list[set[Place]] = []
    for path, field in alternative.items():
        found = fields.get(path)
        if not found:
            if not field.absent:
                return False
            continue
        wanted = {place for value, place in found if field.wants(value)}
        if not wanted:
            return False
        if frozenset() not in wanted:
            places.append(wanted)
    return len(places) < 2 or _together(places)


def _together(places: list[set[Place]]) -> bool:
    """Whether one place of each can be had with no array at two elements at once."""
    seen = Counter(array for one in places for array in {array for place in one for array, _ in place})
    shared = [array for array, count in seen.items() if count > 1]
    if not shared:
        return True
    split = [_by_element(one, min(shared)) for one in places]
    for index in {index for elements, _ in split for index in elements}:
        narrowed = [elements.get(index, set()) | elsewhere for elements, elsewhere in split]
        if all(narrowed) and _together(narrowed):
            return True
    return False


def _by_element(places: set[Place], array: int) -> tuple[dict[int, set[Place]], set[Place]]:
    """The places by their element of an array, which they lose, and those that are not in it."""
    elements: dict[int, set[Place]] = defaultdict(set)
    elsewhere = set()
    for place in places:
        inside = next((entry for entry in place if entry[0] == array), None)
        if inside is None:
            elsewhere.add(place)
        else:
            elements[inside[1]].add(place - {inside})
    return elements, elsewhere
