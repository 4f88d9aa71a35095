"""The format of the deployed datasets: one JSON document, which the build writes and functions read."""

import json
from typing import Any, Final

from sluice_pipeline.catalog.datasets import Catalog, parse_catalog
from sluice_pipeline.catalog.errors import CatalogError

SCHEMA: Final = "sluice.datasets/1"


class DatasetsUnreadable(RuntimeError):
    """The object holds something else than datasets, or a format that this code does not know.

    Functions that are deployed a moment later know it, so the error is transient, too: it is retried, and after the
    last attempt recorded like every other.
    """


def deployed_body(compiled: dict[str, Any]) -> bytes:
    """The content of the object for a compiled catalog: the same bytes for the same datasets."""
    whole = {"schema": SCHEMA, "datasets": compiled}
    return json.dumps(whole, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def parse_deployed(body: bytes) -> Catalog:
    """Raises DatasetsUnreadable: not JSON, another format, no dataset, or one that this code refuses."""
    try:
        whole = json.loads(body)
    except ValueError as error:
        raise DatasetsUnreadable(f"is not JSON: {error}") from error
    found = whole.get("schema") if isinstance(whole, dict) else None
    if found != SCHEMA:
        raise DatasetsUnreadable(f"has the format {str(found)[:100]!r}, and this code reads {SCHEMA}")
    datasets = whole.get("datasets")
    if not isinstance(datasets, dict) or not datasets:
        raise DatasetsUnreadable("holds no dataset")
    try:
        return parse_catalog(datasets)
    except CatalogError as error:
        raise DatasetsUnreadable(f"holds a dataset that this code refuses: {error}") from error
