"""The tables of docs/capacity.md, made by the commands above them: ``python -m tests.support.capacity_page``."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex

from sluice import cli
from sluice.paths import ROOT

PAGE = ROOT / "docs/capacity.md"
BLOCK = re.compile(r"(```bash\n(sluice capacity [^\n]+)\n```\n\n)(.*?)(?=^#|\Z)", re.DOTALL | re.MULTILINE)


def written() -> str:
    """The page with the tables of today's formulas."""
    cli.register_verbs(only="capacity")
    return BLOCK.sub(lambda found: found[1] + tables(found[2]) + "\n", PAGE.read_text())


def tables(command: str) -> str:
    """What a command says, in Markdown. Raises AssertionError when it fails."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = cli.run([*shlex.split(command)[1:], "--json"])
    assert code == 0, command
    found = json.loads(said.getvalue())
    words = {True: "yes", False: "**no**", None: ""}
    rows = ["| needs | value | of | holds | because |", "|---|---|---|---|---|"]
    for one in found["needs"]:
        limit = "" if one["limit"] is None else plain(one["limit"])
        rows.append(f"| {one['what']} | {plain(one['value'])} {one['unit']} | {limit} | {words[one['holds']]} "
                    f"| {one['why']} |")  # fmt: skip
    rows += ["", "| part | dollars a month | of that |", "|---|---|---|"]
    parts: dict[str, list[dict[str, float | str]]] = {}
    for cost in found["costs"]:
        parts.setdefault(cost["part"], []).append(cost)
    for part, costs in parts.items():
        items = ", ".join(f"{one['item']} {one['dollars']:,.2f}" for one in costs)
        rows.append(f"| {part} | {sum(float(one['dollars']) for one in costs):,.2f} | {items} |")
    rows.append(f"| **together** | **{found['dollars_per_month']:,.2f}** | |")
    return "\n".join(rows) + "\n"


def plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    PAGE.write_text(written())
