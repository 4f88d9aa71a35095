"""`sluice capacity`: what a load needs of AWS, and what it costs a month."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sluice import console
from sluice.options import Json, Wide
from sluice.tables import layout

PANEL, ORDER = "Quality", 60

NEEDS = layout("needs", "value:number", "unit", "of:number?2", "holds", "why:fold", "page:fold?3")
SHOWN = ("before", "after", "difference")
DIFFERENCES = layout("part", *(f"{name}:number" for name in SHOWN))
COSTS = layout("part", "item:fold", "amount:number?1", "unit?1", "dollars/month:number", "price:fold?2", "page:fold?3")


def capacity(
    objects_per_day: Annotated[float, typer.Option(help="Objects that arrive in a day, such as 1e6.")],
    bytes_per_day: Annotated[float, typer.Option(help="Their bytes together, such as 1e12.")],
    branches: Annotated[str, typer.Option(help="warehouse, lake, both with a comma, or nothing.")] = "warehouse,lake",
    warehouse_part: Annotated[
        float, typer.Option(min=0, max=1, help="Part of the objects that the warehouse takes.")
    ] = 1.0,
    storage_days: Annotated[float, typer.Option(help="Days for which data is stored.")] = 30,
    var_file: Annotated[Path | None, typer.Option("--var-file", help="Settings (infra/envs/prod.tfvars).")] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", help="A file of --json: show the difference to it only.")
    ] = None,
    json: Json = False,
    wide: Wide = False,
) -> None:
    """Calculate concurrency, DynamoDB's units, queues, ACUs, DPU hours, files and dollars a month of a load.

    With the settings of a tfvars file, at the day's mean, by list prices. Nothing is measured or looked up, and no
    engine is needed. docs/capacity.md says where each figure comes from and what is not counted.
    """
    from sluice.bench import capacity as formulas
    from sluice.bench import prices
    from sluice.bench.scale import Load, Settings
    from sluice.paths import ENVS_DIR, INFRA_DIR

    console.set_wide(wide)
    try:
        formulas.check(objects_per_day, bytes_per_day, storage_days)
        chosen = formulas.parse_branches(branches)
    except ValueError as error:
        console.fail(str(error))
    load = Load(objects_per_day, bytes_per_day, warehouse_part=warehouse_part)
    before = read_bill(compare) if compare else None
    file = var_file or ENVS_DIR / "prod.tfvars"
    variables = "".join(one.read_text() for one in sorted((INFRA_DIR / "stack").glob("*.tf")))
    try:
        text = formulas.with_defaults(file.read_text(), variables)
        settings, stack = Settings.of(text), formulas.Stack.of(text)
    except (OSError, ValueError) as error:
        console.fail(f"--var-file {file}: {error}")
    needs = formulas.needs(load, settings, stack, chosen)
    costs = formulas.costs(load, settings, stack, chosen, storage_days)
    total = sum(one.dollars for one in costs)
    if before is not None:
        show_difference(before, formulas.by_part(costs), json)
        return
    if json:
        console.print_json({
            "objects_per_day": objects_per_day, "bytes_per_day": bytes_per_day, "branches": chosen,
            "warehouse_part": warehouse_part, "storage_days": storage_days,
            "needs": [one.to_dict() for one in needs], "costs": [one.to_dict() for one in costs],
            "dollars_per_month": total, "prices_as_of": prices.AS_OF, "region": prices.REGION,
        })  # fmt: skip
        return
    words = {True: "yes", False: "no", None: None}
    title = f"{objects_per_day:,.0f} objects and {bytes_per_day / 1e12:,.3g} TB a day"
    console.print_table(
        NEEDS,
        [(one.what, number(one.value), one.unit, one.limit and number(one.limit), words[one.holds], one.why, one.page)
         for one in needs],
        title=f"{title}: {load.objects_per_s:,.3g} objects/s of {console.human_bytes(load.object_bytes)}",
    )  # fmt: skip
    console.print_table(
        COSTS,
        [(one.part, one.price.name, number(one.amount.value), one.amount.unit, f"{one.dollars:,.2f}", one.price.text,
          one.price.page) for one in costs],
        title=f"A month of 30 days, {storage_days:g} days stored",
    )  # fmt: skip
    console.print_line(f"total   {total:,.2f} dollars a month; prices of {prices.REGION}, {prices.AS_OF}")
    for one in needs:
        if one.holds is False:
            console.note(f"limit   {one.what}: {number(one.value)} {one.unit} of {number(one.limit or 0)}")


def read_bill(file: Path) -> dict[str, float]:
    """Dollars a month by part, of what --json has written. Ends with code 2 when the file is none of these."""
    from json import loads

    parts: dict[str, float] = {}
    try:
        for one in loads(file.read_bytes())["costs"]:
            parts[str(one["part"])] = parts.get(str(one["part"]), 0.0) + float(one["dollars"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        console.fail(f"--compare {file}: it is not what --json has written ({type(error).__name__})")
    return parts


def show_difference(before: dict[str, float], after: Mapping[str, float], as_json: bool) -> None:
    """Parts whose dollars a month differ by a cent or more, and the totals."""
    rows: list[dict[str, Any]] = []
    for part in dict.fromkeys((*before, *after)):
        was, now = before.get(part, 0.0), after.get(part, 0.0)
        if abs(now - was) >= 0.005:
            rows.append({"part": part, "before": was, "after": now, "difference": now - was})
    was, now = sum(before.values()), sum(after.values())
    if as_json:
        console.print_json({"parts": rows, "before": was, "after": now, "difference": now - was})
        return
    if rows:
        console.print_table(
            DIFFERENCES,
            [(one["part"], *(f"{one[name]:+,.2f}".lstrip("+" if name != "difference" else "") for name in SHOWN))
             for one in rows],
        )  # fmt: skip
    console.print_line(f"total   {was:,.2f} dollars a month before, {now:,.2f} after: {now - was:+,.2f}")


def number(value: float) -> str:
    """Three digits that count, no exponent."""
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"
