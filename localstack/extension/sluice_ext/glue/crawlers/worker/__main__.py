"""`python -m sluice_ext.glue.crawlers.worker <folder>`: answers a crawler's questions from standard input.

{"read": [{"place", "path", "size"}], "classifiers": [...]} -> {"samples": [...]}
{"group": [sample], "roots": ["bucket/a/"], "grouping": {...}, "prefix"} -> {"tables": [...]}
"""

from pathlib import Path
from typing import Any

import duckdb

from sluice_ext.athena.worker.channel import Pipe
from sluice_ext.glue.crawlers.worker import samples, tables
from sluice_ext.glue.crawlers.worker.samples import Sample
from sluice_ext.glue.crawlers.worker.tables import Grouping
from sluice_ext.glue.crawlers.worker.texts import CsvRules


def main() -> None:
    """Until the engine closes the pipe."""
    pipe = Pipe()
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "threads": "1"}
    )
    pipe.send(ready=True)
    while True:
        message = pipe.receive()
        if "read" in message:
            rules = [CsvRules.of(one) for one in message["classifiers"]]
            read = [_read(one, connection, rules).to_json() for one in message["read"]]
            pipe.send(samples=read)
        else:
            pipe.send(tables=group(message))


def _read(one: dict[str, Any], connection: duckdb.DuckDBPyConnection, rules: list[CsvRules]) -> Sample:
    return samples.read(one["place"], Path(one["path"]), one["size"], connection, rules)


def group(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The tables of each root; a file below two of them belongs to the first."""
    known = [Sample.from_json(one) for one in message["group"]]
    made = []
    for root in message["roots"]:
        mine = [one for one in known if one.place.startswith(root)]
        known = [one for one in known if not one.place.startswith(root)]
        folder = root if root.endswith("/") else root.rsplit("/", 1)[0] + "/"
        found = tables.find(mine, folder, Grouping(**message["grouping"]))
        made += [tables.describe(one, message["prefix"]) for one in found]
    return made


if __name__ == "__main__":
    main()
