"""`sluice check`: judges local files by a dataset's rules, without an engine."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Json, Wide
from sluice.tables import layout, shortened

if TYPE_CHECKING:
    from sluice.pipeline.check import Checked
    from sluice.pipeline.unlike import Unlike

PANEL, ORDER = "Data", 29

_FATES = {
    "discard": "it would be dropped",
    "evolve": "it would be kept in _unnamed",
    "quarantine": "rows with it would be rejected",
    "freeze": "the object would fail",
}
_VALUE = 40  # characters of a column's name in a sentence; --json has all of it
REASONS = layout("errors:number", "reason", "field", "dataset")
BY_LINE = layout("line:number", "field", "reason", "value:text", "expected:text")
BY_OFFSET = layout("offset:number", "field", "reason", "value:text", "expected:text")
DATASETS = layout("dataset", "fixtures:number", "rows:number", "ok")


def check(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A dataset, or mixed: rows routed by record_type.")
    ] = "",
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="JSON or CSV, plain or gzip.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every dataset's YAML, and its fixtures.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=0, help="Rejected rows of a file that are shown (20).")
    ] = None,
    json: Json = False,
    wide: Wide = False,
) -> None:
    """Judge files by a dataset's YAML, by the code of transform: counts, rejected rows, unlike columns, a sample.

    Needs no engine. Exit code 1 when a row would be rejected, a column dropped or an object fail; 2 for wrong use.
    """
    console.set_wide(wide)
    if all_:
        if dataset or files or limit is not None:
            console.fail("--all takes no dataset, no file and no --limit")
        _check_all(json)
        return
    if not dataset or not files:
        console.fail("name a dataset and a file: sluice check DATASET FILE..., or --all")
    from sluice.pipeline import check as checking

    catalog = checking.local_catalog()
    checking.require_dataset(catalog, dataset)
    for file in files:
        checking.require_file(file)
    found = []
    for file in files:
        with console.progress() as bar:
            task = bar.add_task(file.name, total=None)
            one = checking.check_file(
                file,
                dataset,
                catalog,
                shown=checking.SHOWN if limit is None else limit,
                progress=lambda done, size, bar=bar, task=task: bar.update(task, completed=done, total=size),  # type: ignore[misc]
            )
        found.append(one)
        if not json:
            show(one)
    if json:
        console.print_json([one.to_dict() for one in found])
    raise typer.Exit(console.OK if all(one.ok for one in found) else console.FAILED)


def show(found: Checked) -> None:
    """A file's verdict: reasons, rejected rows, a sample of silver, unlike columns, and the counts last."""
    if found.reasons:
        rows = [(count, reason, name or "(whole row)", dataset)
                for (dataset, name, reason), count in found.reasons.most_common()]  # fmt: skip
        console.print_table(REASONS, rows)
    if found.rejected:
        by_line = found.rejected[0].line is not None
        lines = [
            (row.line if by_line else row.offset, error["field"] or "(whole row)", error["reason"], error["value"],
             error["expected"])
            for row in found.rejected
            for error in row.errors
        ]  # fmt: skip
        console.print_table(BY_LINE if by_line else BY_OFFSET, lines)
        if found.rows_rejected > len(found.rejected):
            console.note(
                f"... and {found.rows_rejected - len(found.rejected):,} more rejected rows; --limit shows them"
            )
    for name, sample in found.sample.items():
        if sample:
            rows_shown = [[_text(value) for value in row.values()] for row in sample]
            console.print_result(list(sample[0]), rows_shown, title=f"silver {name}")
    for one in found.unlike:
        console.note(unlike_line(one))
    if found.trailing:
        console.note(f"{found.trailing:,} bytes after the gzip stream would be left out")
    if found.failed:
        console.note(f"check   {found.file}: the whole object would fail, {found.failed}: {found.detail}")
        return
    chunks = f"{found.chunks} chunk{'' if found.chunks == 1 else 's'}"
    silver = ", ".join(f"{count:,} to silver {name}" for name, count in found.silver.items()) or "none to silver"
    verdict = "all good" if found.ok else "not all good"
    console.note(
        f"check   {found.file} ({found.form}, {console.human_bytes(found.size)}, {chunks}): {found.rows_in:,} rows in, "
        f"{silver}, {found.rows_rejected:,} rejected: {verdict}"
    )


def unlike_line(one: Unlike) -> str:
    """What is unlike about a name, and the nearest on the other side."""
    name = shortened(one.name, _VALUE)
    if one.in_file:
        near = f"; did you mean the field {one.near!r}?" if one.near else ""
        return f"unlike  column {name!r} is no field of {one.dataset}: {_FATES[one.contract]}{near}"
    kind = "required field" if one.required else "optional field"
    near = f"; the file has {shortened(one.near, _VALUE)!r}" if one.near else ""
    return f"unlike  {kind} {one.name!r} of {one.dataset} is in no row{near}"


def _check_all(json: bool) -> None:
    from dataclasses import asdict

    from sluice.pipeline.check import local_catalog
    from sluice.pipeline.check_datasets import check_samples, check_yaml

    judged = check_yaml()
    if not any(one.fault for one in judged):
        judged += check_samples(local_catalog())
    faults = [one for one in judged if one.fault]
    if json:
        console.print_json({"ok": not faults, "checked": [asdict(one) for one in judged]})
    else:
        names = {one.dataset for one in judged}
        counts = [[one for one in judged if one.dataset == name and one.rows is not None] for name in sorted(names)]
        rows = [
            (name, len(own), sum(one.rows or 0 for one in own), not any(f.dataset == name for f in faults))
            for name, own in zip(sorted(names), counts, strict=True)
        ]
        console.print_table(DATASETS, rows)
        for one in faults:
            console.note(f"{one.dataset}  {one.what}: {one.fault}")
        fixtures = sum(1 for one in judged if one.rows is not None)
        faulty = f"{len(faults) or 'no'} fault{'' if len(faults) == 1 else 's'}"
        console.note(f"check   {len(judged) - fixtures} YAML files, {fixtures} fixtures: {faulty}")
    raise typer.Exit(console.FAILED if faults else console.OK)


def _text(value: Any) -> str:
    """A value of silver as `sluice query` shows it."""
    from sluice.pipeline.sql_values import shown

    return value.isoformat().replace("+00:00", "Z") if isinstance(value, date) else shown(value)
