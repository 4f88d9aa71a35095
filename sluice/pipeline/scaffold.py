"""A dataset from a sample file: its YAML, a fixture and a test, which the rules of the YAML let pass as they are.

Types are guessed from values and then tried: the sample is judged by the code of transform, and what it rejects becomes
a text. So a scaffold never rejects its own sample.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sluice.console import fail
from sluice.paths import DATASETS_DIR, ROOT
from sluice.pipeline import samples
from sluice.pipeline.samples import Column
from sluice_pipeline.catalog.field_checks import can_be_named
from sluice_pipeline.catalog.sights import shown_name

if TYPE_CHECKING:
    from sluice.pipeline.check import Checked

FIXTURE_ROWS: Final = 100
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,54}")  # 55 characters: a dataset with a key has views, too
_TIMES: Final = ("timestamp", "date")
_RESERVED: Final = ("dt",)  # the partition of silver


@dataclass
class Field:
    """A field of the YAML, and the column of the sample that it was guessed from."""

    name: str
    column: str
    type: str
    required: bool
    unique: bool

    def line(self) -> str:
        import yaml

        parts = [f"type: {self.type}" if "(" not in self.type else f'type: "{self.type}"']
        parts += ["required: true"] if self.required else []
        parts += [f"aliases: [{_quoted(self.column)}]"] if self.column != self.name else []
        name = self.name if yaml.safe_load(self.name) == self.name else _quoted(self.name)  # no, on, null ...
        return f"  {name}: {{ {', '.join(parts)} }}"


@dataclass
class Scaffold:
    """What a sample proposes: three files, by their paths in the project."""

    dataset: str
    partition_by: str
    key: list[str]
    fields: list[Field]
    rows: int
    left_out: list[str] = field(default_factory=list)
    """Columns whose name no field can have; their values are dropped."""
    files: dict[Path, bytes] = field(default_factory=dict)


def scaffold(dataset: str, sample: Path, partition_by: str = "") -> Scaffold:
    """Reads the sample and makes the files, without writing them.

    Ends with code 2 when the name or the sample cannot be used: no rows, no dates, not readable.
    """
    if not _NAME.fullmatch(dataset) or dataset == "mixed":
        fail(f"{dataset!r} is no name of a dataset: lower case, digits and _, at most 55 characters, not mixed")
    read = samples.read(sample)
    found = Scaffold(dataset, "", [], list(_fields(read.columns)), min(len(read.rows), FIXTURE_ROWS))
    found.left_out = [name for name in read.columns if not can_be_named(name)]
    fixture, body = samples.fixture(read, FIXTURE_ROWS)
    whole, content = samples.fixture(read, len(read.rows))
    for _ in range(1 + 2 * len(found.fields)):
        found.partition_by = _partition(found.fields, partition_by, sample)
        found.key = _key(found)
        text = _yaml(found, read.delimiter)
        judged = _judged(dataset, text, whole, content)
        if judged.failed:
            fail(f"{sample} would not be ingested: {judged.failed}: {judged.detail}")
        if not _repaired(found, judged):
            break
    if judged.rows_rejected:
        reasons = "; ".join(f"{name or '(row)'} {reason}" for _, name, reason in list(judged.reasons)[:3])
        fail(f"{judged.rows_rejected} rows of {sample} have values that no type takes: {reasons}")
    found.files = {
        DATASETS_DIR / f"{dataset}.yaml": text.encode(),
        ROOT / "fixtures" / "datasets" / f"{dataset}{Path(fixture).suffix}": body,
        ROOT / "tests" / "unit" / "datasets" / f"test_{dataset}.py": _test(found, Path(fixture).suffix).encode(),
    }
    return found


def write(found: Scaffold, *, force: bool) -> None:
    """Writes the files. Ends with code 2, and writes none, when one is there that ``force`` does not replace."""
    there = [path for path in found.files if path.exists()]
    if there and not force:
        fail(f"{there[0].relative_to(ROOT)} is there: give another name, or --force to replace it")
    for path, body in found.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


# -- fields ------------------------------------------------------------------------------------------------------------


def _fields(columns: dict[str, Column]) -> Iterator[Field]:
    """A field for each column that can have one, under its own name where that is a field's name."""
    names = {column: column for column in columns if _field_name(column) == column}
    taken = set(names)
    for column in columns:
        if column not in names:
            own, number = _field_name(column), 2
            while own in taken:
                own, number = f"{_field_name(column)[:60]}_{number}", number + 1
            names[column] = own
            taken.add(own)
    for column, values in columns.items():
        if can_be_named(column):
            yield Field(names[column], column, values.type, values.required, values.unique)


def _field_name(column: str) -> str:
    """``tripId`` and ``Trip ID`` -> ``trip_id``."""
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", column)
    text = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    if not text or not text[0].isalpha() or text in _RESERVED:
        text = f"field_{text}".rstrip("_")
    return text[:63]


def _partition(fields: list[Field], wanted: str, sample: Path) -> str:
    if wanted:
        one = next((one for one in fields if wanted in (one.name, one.column)), None)
        if one is None:
            fail(f"{sample} has no column {wanted!r}: it has {', '.join(one.column for one in fields)}")
        if one.type not in _TIMES or not one.required:
            fail(f"{wanted!r} does not hold a date or time in ISO 8601 in every row: it cannot cut silver into days")
        return one.name
    times = [one for one in fields if one.type in _TIMES and one.required]
    if not times:
        fail(
            f"no column of {sample} holds a date or time in ISO 8601 in every row, and silver is cut into days by one: "
            "give such a sample, or write the YAML by hand with a `format` (docs/datasets.md)"
        )
    return min(times, key=lambda one: _TIMES.index(one.type)).name


def _key(found: Scaffold) -> list[str]:
    """The first field that looks like an identity and is one in the sample."""
    for one in found.fields:
        if one.required and one.unique and one.type in ("string", "int64") and re.search(r"(^|_)(id|uuid)$", one.name):
            return [one.name]
    return []


def _repaired(found: Scaffold, judged: Checked) -> bool:
    """Makes fields that reject rows less strict; False when there is nothing to do."""
    wrong = {name: reason for _, name, reason in judged.reasons}
    changed = False
    for one in found.fields:
        reason = wrong.get(one.name)
        if reason == "missing_required" and one.required:
            one.required, changed = False, True
        elif reason and one.type != "json":
            # A text takes every value of CSV, and json every value of JSON.
            one.type, changed = "json" if one.type == "string" else "string", True
    return changed


def _judged(dataset: str, text: str, name: str, body: bytes) -> Checked:
    from sluice.pipeline.check import check_object, local_catalog

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"{dataset}.yaml").write_text(text)
        catalog = local_catalog(Path(folder))
    return check_object(name, len(body), lambda start, end: body[start:end], dataset, catalog)


# -- texts -------------------------------------------------------------------------------------------------------------


def _yaml(found: Scaffold, delimiter: str) -> str:
    lines = [
        "# yaml-language-server: $schema=schema.json",
        f"dataset: {found.dataset}",
        f"description: Made from a sample of {found.rows} rows; say here what a row is.",
        f"partition_by: {found.partition_by}",
    ]
    lines += [f"key: [{', '.join(found.key)}]"] if found.key else []
    if delimiter not in ("", ","):
        lines.append(f'csv: {{ delimiter: "{delimiter}" }}'.replace("\t", "\\t"))
    lines += ["fields:", *(one.line() for one in found.fields)]
    lines += [f"  # {shown_name(one)[:40]!r} can be no field: let the sender rename it" for one in found.left_out]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text in YAML, whatever it holds."""
    import yaml

    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10_000)).strip()


def _test(found: Scaffold, suffix: str) -> str:
    return f'''"""The dataset {found.dataset}: what its rules make of the fixture."""

from sluice.paths import ROOT
from sluice.pipeline.check import check_file, local_catalog


def test_every_row_of_the_fixture_goes_to_silver() -> None:
    found = check_file(ROOT / "fixtures/datasets/{found.dataset}{suffix}", "{found.dataset}", local_catalog())
    assert (found.failed, found.rows_in, found.rows_rejected) == ("", {found.rows}, 0)
    assert found.silver == {{"{found.dataset}": {found.rows}}}
    assert [one.name for one in found.unlike if one.loses_values] == []
'''
