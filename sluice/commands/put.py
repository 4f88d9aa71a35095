"""`sluice put`: uploads files to a dataset's bronze prefix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Where, on_stack

if TYPE_CHECKING:
    from sluice.pipeline.ledger import Item
    from sluice.pipeline.put import Put
    from sluice_pipeline.catalog.datasets import Catalog

PANEL, ORDER = "Data", 28


@on_stack
def put(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="JSON or CSV, plain or gzip.")] = None,
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="Where: shipments, a folder of it (shipments/2024), or mixed.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Upload what `sluice check` warns of, too.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until they have ended; exit code 1 when one fails.")] = False,
    deadline: Annotated[float | None, typer.Option(min=1, help="Seconds that --wait waits (600).")] = None,
    *,
    where: Where,
) -> None:
    """Upload files to bronze/<dataset>/. The same content again is the same object, and nothing is uploaded.

    The head of each file is judged first, as `sluice check` does: columns that the YAML has not, or content that
    cannot be read, are refused (exit code 2) without --force.
    """  # fmt: skip
    from sluice.pipeline import check as checking
    from sluice.pipeline import put as putting

    if not files or not dataset:
        console.fail("name files and, last, a dataset: sluice put my.csv shipments")
    if deadline and not wait:
        console.fail("--deadline is for --wait")
    catalog = checking.local_catalog()
    if catalog.knows(str(files[0])) and not catalog.knows(dataset):
        console.fail(f"the dataset comes last: sluice put {' '.join(map(str, [*files[1:], dataset, files[0]]))}")
    stack = where.stack
    to = putting.destination(dataset, stack["bronze_bucket"], catalog)
    for file in files:
        checking.require_file(file)
    if not force:
        for file in files:
            _judge(file, to.dataset, catalog)
    uploader = putting.Uploader(stack)
    done: list[Put] = []
    with console.progress() as bar:
        for file in files:
            task = bar.add_task(file.name, total=file.stat().st_size)
            done.append(uploader.put(file, to, lambda sent, task=task: bar.advance(task, sent)))  # type: ignore[misc]
    items: dict[str, Item] = {}
    if wait:
        with console.progress() as bar:
            task = bar.add_task("objects", total=len(done))
            ids = [one.object_id for one in done]
            items = putting.wait_for_end(stack, ids, deadline or 600, lambda count: bar.update(task, completed=count))
    ends = [putting.end_of(items.get(one.object_id)) for one in done]
    if where.json:
        console.print_json([_facts(one, items.get(one.object_id) if wait else None, wait) for one in done])
    else:
        for one, (_, end) in zip(done, ends, strict=True):
            # The first digits of an id are looked up in the ledger's list, where an upload of known bytes is not.
            owner = items.get(one.object_id, {}).get("object_id", one.object_id)
            _show(one, str(owner), end if wait else None)
        if not wait:
            console.note(f"what became of it: sluice runs {done[0].object_id}" if len(done) == 1 else
                         f"what became of them: sluice runs --dataset {to.dataset}")  # fmt: skip
    raise typer.Exit(console.FAILED if wait and not all(good for good, _ in ends) else console.OK)


def _judge(file: Path, dataset: str, catalog: Catalog) -> None:
    """Ends with code 2 when the head of a file says that the file is not the dataset's."""
    from sluice.commands.check import unlike_line
    from sluice.pipeline.check import check_file

    found = check_file(file, dataset, catalog, head_only=True)
    if found.failed:
        console.fail(
            f"{file} is not uploaded: the object would fail, {found.failed}: {found.detail} (--force uploads it)"
        )
    wrong = [one for one in found.unlike if one.loses_values or one.required]
    if wrong:
        for one in wrong:
            console.note(unlike_line(one))
        console.fail(f"{file} is not uploaded: its columns are not those of {dataset}; see `sluice check {dataset} "
                     f"{file}` (--force uploads it)")  # fmt: skip
    if found.rows_rejected:
        console.note(f"{file}: {found.rows_rejected:,} of the first {found.rows_in:,} rows will be rejected; "
                     f"`sluice check {dataset} {file}` says why")  # fmt: skip


def _show(one: Put, object_id: str, end: str | None) -> None:
    size, name = console.human_bytes(one.size), object_id[:12]
    if one.new:
        typer.echo(f"put     {one.file} -> {one.key} ({size}), object {name}")
    else:
        typer.echo(f"there   {one.file} is {one.key} ({size}), object {name}: nothing was uploaded")
    if end is None:
        return
    typer.echo(f"        {end}")
    if not end.startswith("committed"):
        typer.echo(f"        see: sluice runs {name}" + ("" if one.new else f"; reprocess it: sluice requeue {name}"))
    elif not end.endswith(" 0 in quarantine"):
        typer.echo(f"        why: sluice quarantine show {name}")


def _facts(one: Put, item: Item | None, waited: bool) -> dict[str, Any]:
    from dataclasses import asdict

    names = ("state", "failed_reason", "error", "rows_in", "rows_silver", "rows_quarantined")
    end = {"end": None if item is None else {name: item.get(name) for name in names}} if waited else {}
    return asdict(one) | end
