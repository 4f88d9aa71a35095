"""Every table of the tool on narrow and wide screens: none is wider, no id is split, and no value steers the screen."""

from __future__ import annotations

import ast
import importlib
import io
import pkgutil
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

import sluice
from sluice import console
from sluice.paths import ROOT
from sluice.tables import Column, FittedTable, Kind, Layout, cut_end, cut_middle, layout, records, safe

SCREENS = (80, 120)
KEY = "bronze/shipments/year=2025/month=03/day=01/" + "warehouse-hamburg-north/" * 6 + "part-00017.jsonl"
TEXT = "the value of a field is not what the rule says, " * 12
ID = "02fd373041f8"
STATE = "failed: retries_exhausted"
NUMBER = "1,234,567"
ANSI = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def layouts() -> Iterator[tuple[str, Layout]]:
    """The layouts of all modules of the tool."""
    for module in pkgutil.walk_packages(sluice.__path__, "sluice."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Layout):
                yield f"{module.name}.{name}", value


LAYOUTS = dict(layouts())
"""Found, not listed: a new table is here when its module is."""
MADE_BY_FUNCTIONS = {
    # What is compared names two columns.
    ("sluice/commands/bench.py", "show"): layout(
        "figure:fold", "localstack:number", "ministack:number", "target:number?1", "better by:number", "note:fold?2"
    ),
}
ALL = LAYOUTS | {f"{file} {function}": made for (file, function), made in MADE_BY_FUNCTIONS.items()}


def cell(column: Column, word: str) -> str:
    return {Kind.NUMBER: NUMBER, Kind.KEY: KEY, Kind.TEXT: TEXT, Kind.FOLD: TEXT, Kind.WORD: word}[column.kind]


def drawn(thing: object, width: int) -> list[str]:
    out = Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False, emoji=False)
    out.print(thing)
    return out.file.getvalue().rstrip("\n").split("\n")  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("width", SCREENS)
@pytest.mark.parametrize("name", ALL)
def test_every_table_fits_with_long_keys(name: str, width: int) -> None:
    made = ALL[name]
    table = FittedTable(made, [[cell(column, ID) for column in made.columns]])
    found = table.fitted(width)
    assert found is not None, f"{name} is no table at {width} columns: let a column be left out (?1)"
    lines = drawn(table, width)
    assert max(map(cell_len, lines)) <= width
    assert not ANSI.search("".join(lines))
    columns = [made.columns[place] for place in found.shown]
    row = lines[2]
    assert row.count(NUMBER) == sum(column.kind is Kind.NUMBER for column in columns)
    assert row.count(ID) == sum(column.kind is Kind.WORD for column in columns)
    for column in columns:
        assert column.name in lines[0]
        if column.kind is Kind.KEY:
            assert KEY[-8:] in row
    assert set(found.left_out) == {column.name for column in made.columns} - {column.name for column in columns}


@pytest.mark.parametrize("width", SCREENS)
@pytest.mark.parametrize("name", ALL)
def test_a_table_of_the_longest_words_fits_too(name: str, width: int) -> None:
    made = ALL[name]
    lines = drawn(FittedTable(made, [[cell(column, STATE * 2) for column in made.columns]]), width)
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_cut_where_there_is_no_width(name: str) -> None:
    made = ALL[name]
    lines = drawn(FittedTable(made, [[cell(column, STATE) for column in made.columns]]), console.UNLIMITED)
    for column in made.columns:
        assert column.name in lines[0]
        assert cell(column, STATE).strip() in lines[2]


def test_every_call_prints_a_layout_of_its_module() -> None:
    """A layout made inside a function would not be found above."""
    made, drawn_by_hand = set(), set()
    for path in sorted((ROOT / "sluice").rglob("*.py")):
        file = str(path.relative_to(ROOT))
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                names = {getattr(n.func, "id", getattr(n.func, "attr", "")) for n in ast.walk(function)
                         if isinstance(n, ast.Call)}  # fmt: skip
                if names & {"layout", "Layout"}:
                    made.add((file, function.name))
        if any(isinstance(n, ast.ImportFrom) and n.module == "rich.table" for n in ast.walk(tree)):
            drawn_by_hand.add(file)
    own = {("sluice/tables.py", "layout"), ("sluice/console.py", "print_result")}
    assert made == own | MADE_BY_FUNCTIONS.keys()
    # Facts, records and two tables side by side.
    assert drawn_by_hand == {"sluice/tables.py", "sluice/console.py", "sluice/commands/_status_screen.py"}
    assert len(LAYOUTS) >= 30


# -- the parts ---------------------------------------------------------------------------------------------------------


@given(st.text(max_size=60), st.integers(min_value=4, max_value=40))
def test_cut_text_has_no_more_columns_than_asked_for(text: str, width: int) -> None:
    text = safe(text)
    for cut in (cut_end(text, width), cut_middle(text, width)):
        assert cell_len(cut) <= width
        assert cut == text or "…" in cut


@given(st.text(max_size=200))
def test_what_is_safe_steers_nothing(text: str) -> None:
    assert safe(text).isprintable()
    assert safe(text) == text or not text.isprintable()


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [("\x1b[2J", r"\x1b[2J"), ("a\nb", r"a\nb"), ("\u202eexe", r"\u202eexe"), ("\x9b31m", r"\x9b31m"), ("ü日", "ü日")],
)
def test_hostile_text_is_escaped(hostile: str, shown: str) -> None:
    assert safe(hostile) == shown


@given(st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=8), st.data())
def test_any_table_fits_any_screen(kinds: list[Kind], data: st.DataObject) -> None:
    columns = tuple(Column(f"c{n}", kind, data.draw(st.integers(0, 3))) for n, kind in enumerate(kinds))
    row = [data.draw(st.text("aBc9-/日", max_size=90)) for _ in columns]
    width = data.draw(st.integers(min_value=30, max_value=130))
    lines = drawn(FittedTable(Layout(columns), [row]), width)
    assert max(map(cell_len, lines)) <= width


def test_a_megabyte_is_cut_with_a_mark() -> None:
    lines = drawn(FittedTable(layout("a:text"), [["x" * 1_000_000]]), 80)
    assert cell_len(lines[2]) <= 80
    lines = drawn(records(["a"], [["x" * 1_000_000]], 80), 80)
    assert "(1,000,000 characters)" in "".join(line[3:] for line in lines[1:]).replace("\n", "")
    assert len(lines) < 40


# -- the console -------------------------------------------------------------------------------------------------------


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(console, "_wide", None)
    return monkeypatch


def test_columns_is_honoured_when_piped_and_wide_cuts_nothing(
    screen: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = layout("object", "key:key", "run:number?1")
    rows = [(ID, KEY, 1)]
    console.print_table(made, rows)
    assert KEY in capsys.readouterr().out
    screen.setenv("COLUMNS", "40")
    console.print_table(made, rows)
    printed = capsys.readouterr()
    assert KEY not in printed.out
    assert max(map(cell_len, printed.out.splitlines())) <= 40
    console.set_wide(True)
    console.print_table(made, rows)
    assert KEY in capsys.readouterr().out


def test_a_column_that_had_no_room_is_named(screen: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    screen.setenv("COLUMNS", "50")
    made, rows = layout("object", "state", "rows:number?1", "key:key"), [(ID, "committed", 1_234_567, KEY)]
    console.print_table(made, rows)
    assert capsys.readouterr().err == "no room for rows\n"
    console.set_wide(False)
    console.print_table(made, rows)
    assert capsys.readouterr().err == "no room for rows; --wide shows all\n"


@pytest.mark.parametrize("forced", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}])
def test_no_ansi_when_piped(
    screen: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], forced: dict[str, str]
) -> None:
    for name, value in forced.items():
        screen.setenv(name, value)
    console.print_table(layout("a"), [("\x1b[31mred",)], title="title")
    console.print_facts({"name": "\x1b[31mred"}, title="title")
    console.print_line("\x1b[31mred", style="bold")
    console.note("\x1b[31mred")
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert printed.out.count(r"\x1b[31mred") == 3


def test_times_are_ages(screen: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    seconds = random.randrange(60)
    for past, shown in [
        (timedelta(seconds=seconds), f"{seconds} s ago"),
        (timedelta(minutes=3, seconds=seconds), "3 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=2, hours=1), "2 d ago"),
        (timedelta(seconds=-5), "0 s ago"),
    ]:
        assert console.ago((now - past).isoformat(), now) == shown
    assert console.ago(None) is None
    console.set_wide(True)
    assert console.ago("2026-03-01T11:00:00.5+02:00", now) == "2026-03-01T09:00:00Z"


def test_a_row_that_is_wider_than_the_screen_is_a_record(
    screen: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen.setenv("COLUMNS", "40")
    names, rows = ["a", "b"], [["x" * 30, "y" * 30], ["1", "2"]]
    console.print_result(names, rows)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["── 1 " + "─" * 35, "a  " + "x" * 30, "b  " + "y" * 30, "── 2 " + "─" * 35, "a  1", "b  2"]
    screen.setenv("COLUMNS", "62")
    console.print_result(names, rows)
    assert len(capsys.readouterr().out.splitlines()) == 4
