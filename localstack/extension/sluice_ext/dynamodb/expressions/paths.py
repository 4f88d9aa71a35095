"""Document paths: reading, writing and removing what is at one; projections.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.Attributes.html
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sluice_ext.dynamodb.expressions.nodes import Parsed, Path, written
from sluice_ext.dynamodb.expressions.reader import Reader
from sluice_ext.dynamodb.values import Attributes, Value


def find(item: Attributes, path: Path) -> Value | None:
    """The value at the path; None when there is none."""
    value = item.get(path[0])  # type: ignore[arg-type]  # a path begins with a name
    for part in path[1:]:
        if value is None:
            return None
        value = _child(value, part)
    return value


def _child(value: Value, part: str | int) -> Value | None:
    if isinstance(part, str):
        found: Value | None = value["M"].get(part) if "M" in value else None
        return found
    content = value.get("L", ())
    return content[part] if part < len(content) else None


@lru_cache(1024)
def parse_projection(text: str, names: tuple[tuple[str, str], ...]) -> Parsed[tuple[Path, ...]]:
    """The paths of a ProjectionExpression. Raises DynamoError."""
    reader = Reader("ProjectionExpression", text, dict(names))
    paths = [reader.path()]
    while reader.accept(","):
        paths.append(reader.path())
    reader.finish()
    check_overlap(reader, paths)
    return Parsed(tuple(paths), frozenset(reader.used_names))


def check_overlap(reader: Reader, paths: list[Path]) -> None:
    """Raises when one of the paths is another one, is inside it, or takes the same place as list and as map."""
    for index, first in enumerate(paths):
        for second in paths[index + 1 :]:
            shared = min(len(first), len(second))
            where = next((at for at in range(shared) if first[at] != second[at]), None)
            shown = f"path one: {written(first)}, path two: {written(second)}"
            if where is None:
                raise reader.error(
                    f"Two document paths overlap with each other; must remove or rewrite one of these paths; {shown}"
                )
            if isinstance(first[where], int) != isinstance(second[where], int):
                raise reader.error(
                    f"Two document paths conflict with each other; must remove or rewrite one of these paths; {shown}"
                )


def project(item: Attributes, paths: Iterable[Path]) -> Attributes:
    """What the item has at the paths. Chosen elements of a list move together, in order."""
    tree: dict[str | int, Any] = {}
    for path in paths:
        if find(item, path) is None:
            continue
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = None
    return {str(name): _chosen(item[str(name)], inner) for name, inner in tree.items()}


def _chosen(value: Value, tree: dict[str | int, Any] | None) -> Value:
    if tree is None:
        return value
    if "L" in value:
        return {"L": [_chosen(value["L"][index], tree[index]) for index in sorted(tree)]}
    return {"M": {str(name): _chosen(value["M"][name], inner) for name, inner in tree.items()}}
