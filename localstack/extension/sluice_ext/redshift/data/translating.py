"""The translation of SQL, as the Data API uses it."""

from functools import lru_cache

from sluice_ext.redshift import sql


class Untranslatable(ValueError):
    """A text that is no SQL, or has what this engine cannot do; the message is Redshift's, or names it."""


@lru_cache(maxsize=512)
def _parsed(text: str) -> tuple[sql.Statement, ...]:
    return tuple(sql.parse(text))


def parse(text: str) -> tuple[sql.Statement, ...]:
    """The statements of a text. Raises Untranslatable."""
    try:
        return _parsed(text)
    except sql.Refused as error:
        raise Untranslatable(str(error)) from error
