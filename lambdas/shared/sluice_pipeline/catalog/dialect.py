"""A dataset's setting ``csv``: how its CSV files are written."""

from typing import Any, Final

from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.catalog.fields import refuse_unknown
from sluice_pipeline.objects.csv_text import Dialect

SETTINGS: Final = frozenset({"delimiter", "quote", "null", "header"})
_NEVER: Final = "\r\n\0"


def parse_dialect(raw: Any, file: str) -> Dialect:
    """Reads ``{delimiter: ";", quote: "'", null: [NULL], header: [id, name]}``; each may be left out.

    Raises:
        CatalogError: a setting is unknown, of a wrong type, or contradicts another.
    """
    if not isinstance(raw, dict):
        raise CatalogError(file, "csv", 'is not a mapping such as {delimiter: ";"}')
    refuse_unknown(raw, SETTINGS, file, "csv.")
    default = Dialect()
    delimiter = _character(raw.get("delimiter", default.delimiter), file, "csv.delimiter")
    quote = raw.get("quote", default.quote)
    if quote != "":
        quote = _character(quote, file, "csv.quote")
    if quote == delimiter:
        raise CatalogError(file, "csv.quote", f"{quote!r} is the delimiter, too")
    null = raw.get("null", list(default.null))
    header = raw.get("header", [])
    return Dialect(
        delimiter=delimiter,
        quote=quote,
        null=tuple(_texts([null] if isinstance(null, str) else null, file, "csv.null")),
        header=tuple(_names(header, file)),
    )


def _character(value: Any, file: str, where: str) -> str:
    if not isinstance(value, str) or len(value) != 1 or not value.isascii() or value in _NEVER:
        raise CatalogError(file, where, f"{value!r} is not one ASCII character")
    return value


def _texts(value: Any, file: str, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise CatalogError(file, where, "is neither a text nor a list of texts")
    return value


def _names(value: Any, file: str) -> list[str]:
    names = _texts(value, file, "csv.header")
    if len(set(names)) != len(names):
        raise CatalogError(file, "csv.header", "names a column twice")
    return names
