"""Tables that fit the screen: which columns a table has, and what of them a given width shows.

A table names its columns once, as a `Layout`. On a narrow screen texts and keys are cut first, then columns of little
use are left out, and a table that still does not fit is printed as records, one value a line. Numbers are never cut and
ids never split: a long word is cut in its middle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.measure import Measurement

LONGEST = 2_000
"""Characters of a value on the screen; a longer one is cut with a mark that says how long it is."""
_GAP = 2  # blanks between columns
_MARK = "…"


class Kind(StrEnum):
    """How a column gives way."""

    NUMBER = "number"  # never; aligned to the right
    WORD = "word"  # last, cut in the middle: ids, states, names
    KEY = "key"  # cut in the middle: both ends of an object key tell
    TEXT = "text"  # cut at its end: errors, rows
    FOLD = "fold"  # goes on in the next line: values that one copies, sentences


_FLOORS = {Kind.KEY: 16, Kind.TEXT: 16, Kind.FOLD: 24, Kind.WORD: 12}
"""Columns of a screen below which a kind is not cut."""


@dataclass(frozen=True)
class Column:
    """``drop``: 0 for a column that is always shown; else the highest is left out first where there is no room."""

    name: str
    kind: Kind = Kind.WORD
    drop: int = 0


@dataclass(frozen=True)
class Layout:
    """The columns of a table, in their order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def layout(*columns: Column | str) -> Layout:
    """A layout; a text is ``name`` (a word) or ``name:kind``, and ``?1`` behind it gives the column a ``drop``."""
    return Layout(tuple(_column(given) for given in columns))


def _column(given: Column | str) -> Column:
    if isinstance(given, Column):
        return given
    text, _, drop = given.partition("?")
    name, _, kind = text.partition(":")
    return Column(name, Kind(kind or Kind.WORD), int(drop or 0))


def safe(text: str, keep: str = "") -> str:
    r"""Text that cannot steer a terminal: what is not printable is escaped as Python does (``\x1b``, ``\n``).

    ``keep`` are characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def cut_end(text: str, width: int) -> str:
    """The text in so many columns of the screen, with a mark where its end is missing."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + _MARK


def cut_middle(text: str, width: int) -> str:
    """The text in so many columns of the screen: its beginning, a mark, and a longer part of its end."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return text
    head = (width - 1) // 3
    tail = text[::-1]
    return set_cell_size(text, head) + _MARK + set_cell_size(tail, width - 1 - head)[::-1]


def shortened(text: str, limit: int = LONGEST) -> str:
    """The text, or its beginning and how long it is."""
    return text if len(text) <= limit else f"{text[:limit]}{_MARK} ({len(text):,} characters)"


@dataclass(frozen=True)
class Fit:
    """What a width shows: places of the columns, and their widths. ``left_out`` names the others."""

    shown: tuple[int, ...]
    widths: tuple[int, ...]
    left_out: tuple[str, ...] = ()


def fit(columns: Sequence[Column], natural: Sequence[int], width: int | None) -> Fit | None:
    """How columns of these natural widths are shown in ``width`` (None: without end); None when they do not fit."""
    shown = list(range(len(columns)))
    if width is None:
        return Fit(tuple(shown), tuple(natural))
    drops = sorted((n for n in shown if columns[n].drop), key=lambda n: -columns[n].drop)
    soft = frozenset((Kind.KEY, Kind.TEXT, Kind.FOLD))
    attempts = [(drops[:count], soft) for count in range(len(drops) + 1)] + [(drops, soft | {Kind.WORD})]
    for gone, giving in attempts:
        kept = [n for n in shown if n not in gone]
        floors = {n: _floor(columns[n], natural[n], giving) for n in kept}
        spare = width - sum(floors.values()) - _GAP * (len(kept) - 1)
        if spare >= 0:
            widths = _spread(floors, natural, spare)
            return Fit(tuple(kept), tuple(widths[n] for n in kept), tuple(columns[n].name for n in sorted(gone)))
    return None


def _floor(column: Column, natural: int, giving: frozenset[Kind]) -> int:
    return min(natural, max(_FLOORS[column.kind], len(column.name))) if column.kind in giving else natural


def _spread(widths: dict[int, int], natural: Sequence[int], spare: int) -> dict[int, int]:
    """Gives the columns that were cut the spare room, evenly."""
    widths = dict(widths)
    while spare and (cut := [n for n in widths if widths[n] < natural[n]]):
        for n in cut[:spare]:
            widths[n] += 1
            spare -= 1
    return widths


class FittedTable:
    """A renderable of rich: the table as far as the console's width goes. ``rows`` are texts that are safe."""

    def __init__(
        self, made: Layout, rows: Sequence[Sequence[str]], title: str | None = None, header: bool = True
    ) -> None:
        from rich.cells import cell_len

        self.layout, self.title, self.header = made, title, header
        self.rows = [[shortened(cell) for cell in row] for row in rows]
        self.natural = [
            max([cell_len(column.name) if header else 0, *(cell_len(row[n]) for row in self.rows)])
            for n, column in enumerate(made.columns)
        ]

    def needs(self) -> int:
        """The width at which nothing is cut."""
        return sum(self.natural) + _GAP * (len(self.natural) - 1)

    def fitted(self, width: int | None) -> Fit | None:
        return fit(self.layout.columns, self.natural, width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        found = self.fitted(options.max_width)
        yield self._table(found) if found else records(self.layout.names, self.rows, options.max_width, self.title)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        found = self.fitted(options.max_width)
        width = sum(found.widths) + _GAP * (len(found.widths) - 1) if found else options.max_width
        return Measurement(width, width)

    def _table(self, found: Fit) -> RenderableType:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        made = Table(
            title=self.title,
            title_justify="left",
            title_style="bold",
            box=SIMPLE_HEAD,
            show_edge=False,
            show_header=self.header,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        columns = [self.layout.columns[n] for n in found.shown]
        for column, width in zip(columns, found.widths, strict=True):
            folds = column.kind is Kind.FOLD
            made.add_column(
                Text(cut_end(column.name, width)), justify="right" if column.kind is Kind.NUMBER else "left",
                width=width, no_wrap=not folds, overflow="fold" if folds else "crop",
            )  # fmt: skip
        for row in self.rows:
            cells = (
                _cut(row[n], self.layout.columns[n].kind, w) for n, w in zip(found.shown, found.widths, strict=True)
            )
            made.add_row(*(Text(cell) for cell in cells))
        return made


def _cut(text: str, kind: Kind, width: int) -> str:
    if kind is Kind.FOLD:
        return text
    return (cut_end if kind is Kind.TEXT else cut_middle)(text, width)


def records(names: Sequence[str], rows: Sequence[Sequence[str]], width: int, title: str | None = None) -> Any:
    """Rows as records, each value in a line of its own; a long value goes on below itself."""
    from rich.cells import cell_len
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [Text(title, style="bold")] if title else []
    label = min(max((cell_len(name) for name in names), default=0), width // 3)
    for number, row in enumerate(rows, 1):
        head = f"── {number} "
        parts.append(Text(head + "─" * (min(width, 40) - len(head))))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(width=label, no_wrap=True)
        grid.add_column(width=max(8, width - label - 2), overflow="fold")
        for name, value in zip(names, row, strict=True):
            grid.add_row(Text(cut_end(safe(name), label), style="bold"), Text(shortened(value)))
        parts.append(grid)
    return Group(*parts)
