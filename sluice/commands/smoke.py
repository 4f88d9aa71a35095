"""`sluice smoke`: verifies a deployment with a few objects, and removes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.options import Where, with_tables
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.demo.smoke import Smoke

PANEL, ORDER = "Deployment", 27

CHECKS = layout("check:fold", "expected:number", "found:number", "verdict")


@with_tables
def smoke(
    dataset: Annotated[str | None, typer.Option(help="Dataset whose rows are made up (shipments).")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Minutes after which a wait ends.")] = 10,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the objects there, for a look.")] = False,
    *,
    where: Where,
) -> None:
    """Send a few objects through what is deployed, verify every row, and remove them; exit code 1 on a difference."""
    from dataclasses import asdict

    from sluice.demo import smoke as smoking

    done = smoking.smoke(where.stack, dataset, seconds=minutes * 60, keep=keep, report=console.note)
    if where.json:
        checks = [asdict(check) | {"ok": check.ok} for check in done.checks]
        console.print_json(asdict(done) | {"checks": checks, "ok": done.ok})
    else:
        _show(done)
    raise typer.Exit(console.OK if done.ok else console.FAILED)


def _show(done: Smoke) -> None:
    rows = [(check.what, check.expected, check.found, "ok" if check.ok else "WRONG") for check in done.checks]
    console.print_table(CHECKS, rows)
    if done.left:
        console.note(f"smoke   left: {done.left}")
    verdict = "passed" if done.ok else "FAILED"
    console.note(f"smoke   {verdict} in {console.human_seconds(done.seconds)} (run {done.run}, {done.dataset})")
