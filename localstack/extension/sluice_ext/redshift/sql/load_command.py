"""COPY and UNLOAD as their options.

https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html
https://docs.aws.amazon.com/redshift/latest/dg/r_UNLOAD.html
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlglot import TokenType

from sluice_ext.redshift.sql.errors import Malformed, Unsupported
from sluice_ext.redshift.sql.rewriting import Text

_MOST_ERRORS = 100_000


@dataclass(frozen=True)
class Copy:
    """``COPY table (columns) FROM source``. ``options`` has the parameters by name, without those left out."""

    table: tuple[str, ...]
    columns: tuple[str, ...]
    source: str
    role: str
    format: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unload:
    """``UNLOAD ('query') TO target``; ``query`` is SQL for PostgreSQL."""

    query: str
    target: str
    role: str
    format: str
    options: dict[str, Any] = field(default_factory=dict)


class _Reader:
    def __init__(self, text: Text) -> None:
        self.text, self.at = text, 0

    @property
    def word(self) -> str:
        return self.text.upper(self.at)

    def done(self) -> bool:
        return self.at >= len(self.text.words)

    def fail(self) -> Malformed:
        if self.done():
            return Malformed("ERROR: syntax error at end of input")
        return Malformed(f'ERROR: syntax error at or near "{self.text.words[self.at].text}"')

    def skip(self, *words: str) -> bool:
        if self.word in words:
            self.at += 1
            return True
        return False

    def expect(self, word: str) -> None:
        if not self.skip(word):
            raise self.fail()

    def name(self) -> str:
        """An identifier; Redshift folds quoted names too."""
        if (
            self.done()
            or self.text.words[self.at].token_type is TokenType.STRING
            or not re.match(r"[\w#]", self.text.words[self.at].text)
        ):
            raise self.fail()
        self.at += 1
        return self.text.words[self.at - 1].text.lower()

    def names(self) -> tuple[str, ...]:
        self.expect("(")
        found = [self.name()]
        while self.skip(","):
            found.append(self.name())
        self.expect(")")
        return tuple(found)

    def is_string(self) -> bool:
        return not self.done() and self.text.words[self.at].token_type in (
            TokenType.STRING,
            TokenType.RAW_STRING,
            TokenType.HEREDOC_STRING,
        )

    def string(self) -> str:
        self.skip("AS")
        if not self.is_string():
            raise self.fail()
        self.at += 1
        return self.text.words[self.at - 1].text

    def number(self) -> int:
        self.skip("AS")
        if self.done() or not self.text.words[self.at].text.isdigit():
            raise self.fail()
        self.at += 1
        return int(self.text.words[self.at - 1].text)

    def flag(self) -> bool:
        """ON, OFF, TRUE or FALSE; nothing counts as ON."""
        if self.skip("OFF", "FALSE"):
            return False
        self.skip("ON", "TRUE")
        return True


def _role(reader: _Reader) -> str:
    if reader.skip("DEFAULT"):
        return "default"
    return reader.string()


def _json(reader: _Reader) -> dict[str, Any]:
    reader.skip("AS")
    return {"json": reader.string() if reader.is_string() else "auto"}


def _optional_string(reader: _Reader, default: str) -> str:
    reader.skip("AS")
    return reader.string() if reader.is_string() else default


def _present(_: _Reader) -> bool:
    return True


_FLAGS = (
    "MANIFEST EMPTYASNULL BLANKSASNULL TRUNCATECOLUMNS FILLRECORD IGNOREBLANKLINES REMOVEQUOTES ESCAPE TRIMBLANKS "
    "ACCEPTANYDATE ROUNDEC NOLOAD IGNOREALLERRORS"
)
_COPY: dict[str, Callable[[_Reader], Any]] = {
    "REGION": _Reader.string,
    "DELIMITER": _Reader.string,
    "QUOTE": _Reader.string,
    "NULL": _Reader.string,
    "DATEFORMAT": _Reader.string,
    "TIMEFORMAT": _Reader.string,
    "ENCODING": lambda r: r.name() if not r.is_string() else r.string(),
    "ACCEPTINVCHARS": lambda r: _optional_string(r, "?"),
    "IGNOREHEADER": _Reader.number,
    "MAXERROR": _Reader.number,
    "COMPROWS": _Reader.number,
    **dict.fromkeys(("COMPUPDATE", "STATUPDATE", "EXPLICIT_IDS"), _Reader.flag),
    **dict.fromkeys(_FLAGS.split(), _present),
}
_UNLOAD: dict[str, Callable[[_Reader], Any]] = {
    "REGION": _Reader.string,
    "DELIMITER": _Reader.string,
    "NULL": _Reader.string,
    "EXTENSION": _Reader.string,
    "PARALLEL": _Reader.flag,
    "ADDQUOTES": _present,
    "ESCAPE": _present,
    "HEADER": _present,
    "ALLOWOVERWRITE": _present,
    "CLEANPATH": _present,
}
_COMPRESSION = ("GZIP", "BZIP2", "ZSTD", "LZOP")
_REFUSED = ("ENCRYPTED", "KMS_KEY_ID", "MASTER_SYMMETRIC_KEY", "CREDENTIALS", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY",
            "SESSION_TOKEN", "SSH", "READRATIO", "FIXEDWIDTH", "ROWGROUPSIZE", "SHAPEFILE", "AVRO", "ORC")  # fmt: skip


def copy(text: Text) -> Copy:
    """Raises Malformed, and Unsupported for sources and options that do not work here."""
    reader = _Reader(text)
    reader.expect("COPY")
    table = [reader.name()]
    while reader.skip("."):
        table.append(reader.name())
    columns = reader.names() if reader.word == "(" else ()
    reader.expect("FROM")
    source = reader.string()
    if not source.startswith("s3://"):
        raise Unsupported(f"COPY FROM '{source.split(':')[0]}'")
    options: dict[str, Any] = {}
    found = {"role": "", "format": "text"}
    while not reader.done():
        _one_option(reader, "COPY", _COPY, options, found)
    _check_copy(found, options)
    return Copy(tuple(table), columns, source, found["role"], found["format"], options)


def _check_copy(found: dict[str, str], options: dict[str, Any]) -> None:
    if not found["role"]:
        raise Malformed("ERROR: COPY requires credentials, such as IAM_ROLE")
    if options.get("maxerror", 0) > _MOST_ERRORS:
        raise Malformed(f"ERROR: MAXERROR must be between 0 and {_MOST_ERRORS}")
    if found["format"] == "parquet":
        # https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-data-format.html
        allowed = {"manifest", "acceptinvchars", "fillrecord", "statupdate", "compupdate", "region", "explicit_ids"}
        for name in options.keys() - allowed:
            raise Malformed(f"ERROR: {name.upper()} argument is not supported for PARQUET based COPY")
    if found["format"] == "json":
        for name in options.keys() & {"delimiter", "quote", "escape", "removequotes", "ignoreheader"}:
            raise Malformed(f"ERROR: {name.upper()} is not supported with the JSON format")
    if found["format"] != "csv" and "quote" in options:
        raise Malformed("ERROR: QUOTE AS is only supported with the CSV format")


def _one_option(
    reader: _Reader,
    verb: str,
    known: dict[str, Callable[[_Reader], Any]],
    options: dict[str, Any],
    found: dict[str, str],
) -> None:
    word = reader.word
    reader.at += 1
    if word == "IAM_ROLE":
        found["role"] = _role(reader)
    elif word == "FORMAT":
        reader.skip("AS")
        _format(reader, verb, reader.word, options, found, 1)
    elif word in ("PARQUET", "CSV", "JSON"):
        _format(reader, verb, word, options, found, 0)
    elif word in _COMPRESSION:
        if word == "LZOP" or (verb == "UNLOAD" and word != "GZIP"):
            raise Unsupported(f"{verb} {word}")
        options["compression"] = word.lower()
    elif word == "MANIFEST" and verb == "UNLOAD":
        options["manifest"] = "verbose" if reader.skip("VERBOSE") else "plain"
    elif word == "PARTITION BY" and verb == "UNLOAD":  # one word to the tokenizer
        options["partition_by"] = reader.names()
        options["include"] = reader.skip("INCLUDE")
    elif word == "MAXFILESIZE" and verb == "UNLOAD":
        options["maxfilesize"] = _size(reader)
    elif word in _REFUSED:
        raise Unsupported(f"{verb} {word}")
    elif word in known:
        options[word.lower()] = known[word](reader)
    else:
        reader.at -= 1
        raise reader.fail()


def _format(
    reader: _Reader, verb: str, word: str, options: dict[str, Any], found: dict[str, str], consumed: int
) -> None:
    if word not in ("PARQUET", "CSV", "JSON"):
        raise Unsupported(f"{verb} FORMAT {word}") if word in _REFUSED else reader.fail()
    reader.at += consumed
    found["format"] = word.lower()
    if word == "JSON" and verb == "COPY":
        options.update(_json(reader))


def _size(reader: _Reader) -> int:
    """In bytes; the unit is MB when none is given."""
    reader.skip("AS")
    if reader.done():
        raise reader.fail()
    try:
        amount = float(reader.text.words[reader.at].text)
    except ValueError:
        raise reader.fail() from None
    reader.at += 1
    unit = 1024**3 if reader.skip("GB") else 1024**2
    reader.skip("MB")
    size = int(amount * unit)
    if not 5 * 1024**2 <= size <= int(6.2 * 1024**3):
        raise Malformed("ERROR: MAXFILESIZE must be between 5 MB and 6.2 GB")
    return size


def unload(text: Text, translate: Callable[[str], str]) -> Unload:
    """Raises Malformed and Unsupported."""
    reader = _Reader(text)
    reader.expect("UNLOAD")
    reader.expect("(")
    query = reader.string()
    reader.expect(")")
    reader.expect("TO")
    target = reader.string()
    if not target.startswith("s3://"):
        raise Malformed(f"ERROR: UNLOAD destination is not supported. (Hint: only S3 paths are supported): {target}")
    options: dict[str, Any] = {}
    found = {"role": "", "format": "text"}
    while not reader.done():
        _one_option(reader, "UNLOAD", _UNLOAD, options, found)
    if not found["role"]:
        raise Malformed("ERROR: UNLOAD requires credentials, such as IAM_ROLE")
    if options.get("allowoverwrite") and options.get("cleanpath"):
        raise Malformed("ERROR: CLEANPATH cannot be used with ALLOWOVERWRITE")
    return Unload(translate(query), target, found["role"], found["format"], options)
