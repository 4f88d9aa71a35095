"""What the user sees: tables, progress, one-line errors, and the same facts as JSON for scripts.

Results go to stdout; progress and messages go to stderr, so that `--json` and `sluice env` can be piped.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sluice.tables import Column, FittedTable, Kind, Layout, cut_end, cut_middle, records, safe, shortened

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

OK, FAILED, USAGE = 0, 1, 2
UNLIMITED = 1_000_000
"""The width of a screen on which nothing is cut."""


class SluiceError(Exception):
    """Something the user must know, in one line. `code` is the exit code: 1 failed or different, 2 wrong use."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def fail(message: str, code: int = USAGE) -> NoReturn:
    """Ends the command with one line on stderr and the exit code (2 by default)."""
    raise SluiceError(message, code)


def debugging() -> bool:
    """True when SLUICE_DEBUG=1 asks for tracebacks."""
    return os.environ.get("SLUICE_DEBUG", "") not in ("", "0")


_wide: bool | None = None


def set_wide(wide: bool | None) -> None:
    """Whether tables show everything (--wide), or what fits the screen; None for a verb without that option."""
    global _wide
    _wide = wide


def width() -> int | None:
    """Columns of the screen that tables have; None when nothing is to be cut: piped without COLUMNS, or --wide."""
    if _wide:
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    if sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None


def stdout() -> Console:
    """Console for results; no colours when piped."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    # No emoji: in an ARN `:secret:` is a part, not a picture.
    return Console(
        highlight=False, emoji=False, width=width() or UNLIMITED, soft_wrap=not terminal or bool(_wide),
        force_terminal=None if terminal else False,
    )  # fmt: skip


def stderr() -> Console:
    """Console for progress and messages; no colours when piped."""
    from rich.console import Console

    terminal = None if sys.stderr.isatty() else False
    return Console(stderr=True, highlight=False, emoji=False, soft_wrap=True, force_terminal=terminal)


def note(message: str) -> None:
    """One line of progress on stderr."""
    stderr().print(safe(message, keep="\n"), markup=False)


def silent(_: str) -> None:
    """In the place of `note` where nothing is to be printed."""


def print_json(value: object) -> None:
    """A value as indented JSON on stdout; dates in ISO 8601, paths as text, DynamoDB's numbers as numbers."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain, ensure_ascii=False) + "\n")


def _plain(value: object) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Decimal):
        from sluice_pipeline.dynamo.values import as_number  # only items of DynamoDB have such numbers

        return as_number(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_line(text: str, *, style: str = "", middle: bool = False) -> None:
    """One line on stdout, cut to the screen at its end or in its middle; what steers a terminal is escaped."""
    from rich.text import Text

    line, screen = shortened(safe(text)), width()
    if screen is not None:
        line = (cut_middle if middle else cut_end)(line, screen)
    stdout().print(Text(line, style=style))


def print_table(
    made: Layout, rows: Iterable[Sequence[object]], *, title: str | None = None, header: bool = True
) -> None:
    """A table on stdout, cut to the screen; None prints as a dash. Says on stderr which columns had no room."""
    found = table(made, rows, title=title, header=header)
    stdout().print(found)
    fitted = found.fitted(width())
    if fitted and fitted.left_out:
        also = "" if _wide is None else "; --wide shows all"
        note(f"no room for {', '.join(fitted.left_out)}{also}")


def table(
    made: Layout, rows: Iterable[Sequence[object]], *, title: str | None = None, header: bool = True
) -> FittedTable:
    """What print_table prints."""
    return FittedTable(made, [[cell_text(cell) for cell in row] for row in rows], title, header)


def print_result(
    columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None, numeric: Collection[int] = ()
) -> None:
    """Values as they are under columns that only the data knows, as records when a row is wider than the screen.

    ``numeric``: places of the columns that are aligned to the right.
    """
    kinds = [Kind.NUMBER if place in numeric else Kind.WORD for place in range(len(columns))]
    made = Layout(tuple(Column(safe(name), kind) for name, kind in zip(columns, kinds, strict=True)))
    found = FittedTable(made, [[safe(cell) for cell in row] for row in rows], title)
    screen = width()
    if screen is not None and found.needs() > screen:
        stdout().print(records(made.names, found.rows, screen, title))
    else:
        stdout().print(found)


def print_facts(facts: Mapping[str, object], *, title: str | None = None) -> None:
    """Names and values, one pair a line."""
    from rich.table import Table
    from rich.text import Text

    label = max(map(len, facts), default=0)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=label, no_wrap=True)
    grid.add_column(overflow="fold", max_width=None if width() is None else max(8, (width() or 0) - label - 2))
    for name, value in facts.items():
        grid.add_row(Text(name, style="bold"), Text(shortened(cell_text(value))))
    console = stdout()
    if title:
        console.print(Text(title, style="bold"))
    console.print(grid)


def cell_text(value: object) -> str:
    """A value of the tool's own as people read it, with nothing in it that steers a terminal."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, dict | list):
        return safe(json.dumps(value, default=str, ensure_ascii=False))
    return safe(str(value))


def item_text(value: object) -> str:
    """A value that an item of DynamoDB holds, as it is; nothing for a missing one."""
    return "" if value is None else str(value)


def ago(value: object, now: datetime | None = None) -> str | None:
    """A time (ISO 8601, or a datetime) as an age: ``3 min ago``. With --wide the time itself; None for no time."""
    if not value:
        return None
    when = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if _wide:
        return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    seconds = max(0.0, ((now or datetime.now(UTC)) - when).total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"


def progress() -> Progress:
    """A progress bar on stderr that disappears when it is done; silent when stderr is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=stderr(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def human_bytes(size: float) -> str:
    """A size in bytes as people read it: 1.5 MB (decimal units)."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def human_seconds(seconds: float) -> str:
    """A duration as people read it: 42 s, 3 min 05 s, 2 h 10 min."""
    total = int(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"
