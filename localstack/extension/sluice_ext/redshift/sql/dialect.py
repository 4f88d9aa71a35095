"""Redshift's SQL as a tree in which each function has the name and arguments that were written.

sqlglot's own dialect makes functions of several dialects one, and loses what sets them apart.
"""

from typing import Any, ClassVar

import sqlglot
from sqlglot import Token, exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError, TokenError, UnsupportedError

from sluice_ext.redshift.sql.errors import Malformed, Unsupported

_KEPT = ("CAST", "CONVERT", "EXTRACT", "POSITION", "SUBSTRING", "TRIM", "TRY_CAST")


class SluiceRedshift(Redshift):
    """What is read."""

    class Tokenizer(Redshift.Tokenizer):
        COMMANDS: ClassVar = set()  # EXPLAIN, SHOW and FETCH have words too

    class Parser(Redshift.Parser):  # type: ignore[misc,valid-type]
        FUNCTIONS: dict[str, Any] = {}  # noqa: RUF012 - as sqlglot declares it
        FUNCTION_PARSERS = {  # noqa: RUF012
            name: parser for name, parser in Redshift.Parser.FUNCTION_PARSERS.items() if name in _KEPT
        }


class SluicePostgres(Postgres):
    """What is written."""

    class Generator(Postgres.Generator):  # type: ignore[misc,valid-type]
        TRANSFORMS = {  # noqa: RUF012
            **Postgres.Generator.TRANSFORMS,
            exp.Placeholder: lambda _, one: f"%({one.name})s",
        }


def tokens(text: str) -> list[Token]:
    """The words of a text; comments are left out. Raises Malformed."""
    try:
        return list(SluiceRedshift().tokenize(text))
    except TokenError:
        raise Malformed("ERROR: unterminated quoted string or comment") from None


def tree(text: str) -> exp.Expr:
    """One statement. Raises Malformed with the word that could not be read."""
    try:
        found = sqlglot.parse(text, read=SluiceRedshift)
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        near = str(first.get("highlight") or "").strip()
        raise Malformed(f'ERROR: syntax error at or near "{near}"' if near else "ERROR: syntax error") from None
    except SqlglotError as error:
        raise Malformed(f"ERROR: syntax error: {error}") from None
    if len(found) != 1 or found[0] is None:
        raise Malformed("ERROR: syntax error at end of input")
    return found[0]


def write(query: exp.Expr) -> str:
    """SQL for PostgreSQL. Raises Unsupported for what it cannot say."""
    try:
        return query.sql(
            dialect=SluicePostgres, unsupported_level=ErrorLevel.RAISE, comments=False, normalize_functions=False
        )
    except UnsupportedError as error:
        construct = str(error).removeprefix("PostgreSQL does not support ").removesuffix(" unsupported").rstrip(".")
        raise Unsupported(construct) from None
