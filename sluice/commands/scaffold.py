"""`sluice scaffold`: a new dataset from a sample file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sluice import console
from sluice.options import Json

PANEL, ORDER = "Data", 28


def scaffold(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The new dataset's name.")],
    sample: Annotated[Path, typer.Argument(metavar="SAMPLE", help="JSON lines, a JSON array, CSV or Parquet.")],
    partition_by: Annotated[
        str, typer.Option("--partition-by", help="The column whose date cuts silver into days (else the first).")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the files of that name.")] = False,
    json: Json = False,
) -> None:
    """Make a dataset from a sample: its YAML, a fixture and a test. `make deploy` then brings table, rules and route.

    Needs no engine. Types are guessed from at most 10,000 rows and tried by the code of transform.
    """
    from sluice.paths import ROOT
    from sluice.pipeline import scaffold as scaffolding
    from sluice.pipeline.check import require_file

    require_file(sample)
    found = scaffolding.scaffold(dataset, sample, partition_by)
    scaffolding.write(found, force=force)
    files = [path.relative_to(ROOT).as_posix() for path in found.files]
    if json:
        fields = {one.name: one.type for one in found.fields}
        console.print_json(
            {"dataset": dataset, "partition_by": found.partition_by, "key": found.key, "fields": fields, "files": files}
        )
        return
    for file in files:
        console.note(f"scaffold  {file}")
    key = f", key {found.key[0]}" if found.key else ""
    console.note(f"scaffold  {len(found.fields)} fields, days by {found.partition_by}{key}; look at the YAML, then:")
    console.note(f"next    `make deploy`, then sluice put {sample} {dataset}")
