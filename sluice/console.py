"""What the user sees: tables, progress, one-line errors, and the same facts as JSON for scripts.

Results go to stdout; progress and messages go to stderr, so that `--json` and `sluice env` can be piped.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

OK, FAILED, USAGE = 0, 1, 2


class SluiceError(Exception):
    """Something the user must know, in one line. `code` is the exit code: 1 failed or different, 2 wrong use."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def fail(message: str, code: int = USAGE) -> NoReturn:
    """Ends the command with one line on stderr and the exit code (2 unless told otherwise)."""
    raise SluiceError(message, code)


def debugging() -> bool:
    """True when SLUICE_DEBUG=1 asks for tracebacks."""
    return os.environ.get("SLUICE_DEBUG", "") not in ("", "0")


def stdout() -> Console:
    """Console for results. Piped output is not cut to 80 columns."""
    from rich.console import Console

    # No emoji: in an ARN `:secret:` is a part, not a picture.
    return Console(
        highlight=False, emoji=False, width=None if sys.stdout.isatty() else 200, soft_wrap=not sys.stdout.isatty()
    )


def stderr() -> Console:
    """Console for progress and messages."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def note(message: str) -> None:
    """One line of progress on stderr."""
    stderr().print(message, markup=False)


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
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    right: Iterable[str] = (),
    short: Iterable[str] = (),
) -> None:
    """A table on stdout. `right` names the columns that hold numbers; None prints as a dash.

    `short` names those that may be cut on a narrow screen; the others are folded.
    """
    stdout().print(table(columns, rows, title=title, right=right, short=short))


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    right: Iterable[str] = (),
    short: Iterable[str] = (),
) -> Table:
    """What print_table prints."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    numeric, cut = set(right), set(short)
    for column in columns:
        made.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    for row in rows:
        cells = ["-" if cell is None else _cell(cell) for cell in row]
        made.add_row(*(_line(c) if name in cut else c for name, c in zip(columns, cells, strict=True)))
    return made


def _line(text: str) -> Text:
    """Text that stays one line: what does not fit is cut, not folded."""
    from rich.text import Text

    line = Text.from_markup(text, overflow="ellipsis")
    line.no_wrap = True
    return line


def print_facts(facts: Mapping[str, object], *, title: str | None = None) -> None:
    """Names and values, one pair a line."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(f"[bold]{name}[/bold]", "-" if value is None else _cell(value))
    console = stdout()
    if title:
        console.print(f"[bold]{title}[/bold]")
    console.print(table)


def _cell(value: object) -> str:
    from rich.markup import escape

    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return escape(str(value))


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
