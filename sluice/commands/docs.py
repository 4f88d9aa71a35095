"""`sluice docs`: builds the documentation's site."""

from __future__ import annotations

from sluice import console
from sluice.options import Json

PANEL, ORDER = "Checkout", 65


def docs(json: Json = False) -> None:
    """Build the documentation as a site in .sluice/site/html. A link that leads nowhere fails it."""
    from sluice.build import site
    from sluice.paths import ROOT, SLUICE_DIR
    from sluice.setup import bootstrap
    from sluice.setup.machine import SetupError

    try:
        bootstrap.setup(ROOT, [bootstrap.DOCS])
    except SetupError as error:
        console.fail(str(error), 1)
    first, count = site.build(SLUICE_DIR / "docs/bin/zensical")
    if json:
        console.print_json({"index": str(first), "pages": count})
    else:
        console.note(f"docs    {count} pages: {first}")
