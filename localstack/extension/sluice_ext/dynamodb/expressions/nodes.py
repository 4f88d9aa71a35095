"""The syntax trees. A path is a tuple of names and list indexes: `a[0].b` is ("a", 0, "b")."""

from dataclasses import dataclass, field

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Attribute:
    """An operand: what is at a path of the item."""

    path: Path


@dataclass(frozen=True, slots=True)
class Given:
    """An operand: an expression attribute value, by its name with the colon."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function of operands."""

    function: str
    arguments: tuple["Operand", ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """`left + right` or `left - right`, of an update."""

    operator: str
    left: "Operand"
    right: "Operand"


Operand = Attribute | Given | Call | Sum


@dataclass(frozen=True, slots=True)
class Comparison:
    """`=`, `<>`, `<`, `<=`, `>`, `>=` with two operands, BETWEEN with three, IN with two or more."""

    operator: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Logic:
    """AND or OR with two conditions, NOT with one."""

    operator: str
    conditions: tuple["Condition", ...]


Condition = Comparison | Logic | Call


@dataclass(frozen=True, slots=True)
class Action:
    """A change that an update makes at a path; REMOVE has no operand."""

    clause: str
    path: Path
    operand: Operand | None = None


@dataclass(frozen=True, slots=True)
class Parsed[T]:
    """A tree with the placeholders that its text uses, and (operator, operands) to check against the values' types."""

    tree: T
    names: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    typed: tuple[tuple[str, tuple[Operand, ...]], ...] = field(default=())


def written(path: Path) -> str:
    """The path as messages write it: [a, [0], b]."""
    return "[" + ", ".join(f"[{part}]" if isinstance(part, int) else part for part in path) + "]"
