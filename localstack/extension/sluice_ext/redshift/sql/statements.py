"""A text of Redshift's SQL as statements for PostgreSQL."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlglot import TokenType, exp

from sluice_ext.redshift.sql import administration, ddl, functions, load_command, translation
from sluice_ext.redshift.sql.dialect import tokens, tree, write
from sluice_ext.redshift.sql.errors import Malformed, Unsupported
from sluice_ext.redshift.sql.load_command import Copy, Unload
from sluice_ext.redshift.sql.rewriting import Text, temporary, without_storage, without_words

# What a statement does nothing instead of: settings of how rows are stored.
NOTHING: Final = "DO $$ BEGIN END $$"
_KINDS: Final[tuple[tuple[type[exp.Expr], str], ...]] = (
    (exp.Query, "select"),
    (exp.Insert, "insert"),
    (exp.Update, "update"),
    (exp.Delete, "delete"),
    (exp.Merge, "merge"),
)
# Strings and quoted names, or the number of a parameter of a prepared statement.
_NUMBERED: Final = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"[^\"]*\"|\$(\d+)", re.DOTALL)
_TRANSACTION: Final = {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"}


@dataclass(frozen=True)
class Statement:
    """One statement.

    ``postgres`` has a placeholder ``%(name)s`` for each ``:name`` of ``parameters``, and then ``%%`` for a percent
    sign: psycopg must get values exactly when there are parameters. ``commits`` says that Redshift commits what the
    transaction did before (TRUNCATE).
    """

    kind: str
    postgres: str
    parameters: tuple[str, ...]
    has_rows: bool
    source: str
    detail: Copy | Unload | None = None
    commits: bool = False


def parse(text: str) -> list[Statement]:
    """All statements of a text; those without a word are left out.

    Raises:
        Malformed: the text is not SQL.
        Unsupported: a construct of Redshift that has no equal here.
    """
    return [_statement(source) for source in split(_NUMBERED.sub(_apart, text))]


def _apart(found: re.Match[str]) -> str:
    """A space behind ``$1``: the tokenizer takes ``$1,$`` for the beginning of a string."""
    return f"{found[0]} " if found[1] else found[0]


def split(text: str) -> list[str]:
    """The sources of a text's statements; a semicolon in a string, comment or body is none between them."""
    found, first = [], None
    last = 0
    for word in tokens(text):
        if word.token_type is TokenType.SEMICOLON:
            if first is not None:
                found.append(text[first : last + 1])
            first = None
        else:
            first = word.start if first is None else first
            last = word.end
    if first is not None:
        found.append(text[first : last + 1])
    return found


def _statement(source: str) -> Statement:
    text = Text(source)
    verb = text.upper(0)
    if verb == "COPY":
        return Statement("copy", "", (), False, source, load_command.copy(text))
    if verb == "UNLOAD":
        return Statement("unload", "", (), False, source, load_command.unload(text, _plain_query))
    if verb in _TRANSACTION:
        return Statement("transaction", source, (), False, source)
    if verb in _BY_WORDS:
        made = _BY_WORDS[verb](text)
        if made is not None:
            return _written(made, source)
    found = administration.translate(text)
    if found is not None:
        kind, postgres, has_rows = found
        return Statement(kind, postgres, (), has_rows, source)
    return _from_tree(text, source)


def _written(made: Statement, source: str) -> Statement:
    return Statement(made.kind, made.postgres, made.parameters, made.has_rows, source, made.detail, made.commits)


def _plain_query(query: str) -> str:
    made = parse(query)
    if len(made) != 1 or made[0].kind != "select":
        raise Malformed("ERROR: UNLOAD takes one SELECT")
    if made[0].parameters:
        raise Malformed('ERROR: syntax error at or near ":"')
    return made[0].postgres


def _from_tree(text: Text, source: str) -> Statement:
    if text.upper(0) in ("CREATE", "ALTER"):
        without_storage(text)
        temporary(text)
    without_words(text)
    query = tree(text.written())
    if isinstance(query, exp.Command):
        raise Unsupported(" ".join(word.text.upper() for word in text.words[:2]))
    if isinstance(query, exp.Create):
        ddl.create(query)
    elif isinstance(query, exp.Alter):
        for one in query.find_all(exp.ColumnDef):
            ddl.column(one)
    query = translation.translate(query)
    names = tuple(dict.fromkeys(translation.parameters(query)))
    kind = next((name for tree_type, name in _KINDS if isinstance(query, tree_type)), "ddl")
    into = isinstance(query, exp.Select) and query.args.get("into") is not None
    written = _escaped(query) if names else write(query)
    truncate = isinstance(query, exp.TruncateTable)
    return Statement("ddl" if into else kind, written, names, kind == "select" and not into, source, commits=truncate)


def _escaped(query: exp.Expr) -> str:
    """SQL in which psycopg looks for placeholders: each other percent sign twice."""
    marks = {f"%({name})s": f"\0{name}\0" for name in translation.parameters(query)}
    text = write(query)
    for placeholder, mark in marks.items():
        text = text.replace(placeholder, mark)
    return re.sub("\0(\\w+)\0", r"%(\1)s", text.replace("%", "%%"))


def _merge(text: Text) -> Statement | None:
    """MERGE ... REMOVE DUPLICATES: matched rows of the target go, and each row of the source comes once.

    https://docs.aws.amazon.com/redshift/latest/dg/r_MERGE.html
    """
    end = len(text.words)
    if (text.upper(end - 2), text.upper(end - 1)) != ("REMOVE", "DUPLICATES"):
        return None
    query = tree(text.written(0, end - 2) + " WHEN MATCHED THEN DELETE")
    if not isinstance(query, exp.Merge):
        raise Malformed('ERROR: syntax error at or near "REMOVE"')
    query = translation.translate(query)
    target, source, condition = (write(query.args[name]) for name in ("this", "using", "on"))
    postgres = (
        f"WITH removed AS (DELETE FROM {target} USING {source} WHERE {condition}) "
        f"INSERT INTO {target} SELECT DISTINCT * FROM {source}"
    )
    return Statement("merge", postgres, (), False, "")


def _delete(text: Text) -> Statement | None:
    """``DELETE t`` is ``DELETE FROM t``."""
    if text.upper(1) != "FROM":
        text.replace(0, "DELETE FROM")
    return None


def _alter(text: Text) -> Statement | None:
    if text.upper(1) != "TABLE":
        return None
    words = [text.upper(at) for at in range(len(text.words))]
    if "APPEND" in words:
        return _append(text, words.index("APPEND"))
    storage = [at for at in range(3, len(words)) if words[at] in ("DISTKEY", "DISTSTYLE", "SORTKEY", "ENCODE")]
    if storage and words[2:].count("ALTER") == 1 and "ADD" not in words and "TYPE" not in words:
        return _checked("ddl", text.written(2, words.index("ALTER", 2)))
    return None


def _append(text: Text, at: int) -> Statement:
    """Rows move from one table to the other: https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE_APPEND.html"""
    words = [text.upper(place) for place in range(at, len(text.words))]
    if "IGNOREEXTRA" in words or "FILLTARGET" in words:
        raise Unsupported("ALTER TABLE APPEND with IGNOREEXTRA or FILLTARGET")
    if words[1:2] != ["FROM"]:
        raise Malformed("ERROR: syntax error in ALTER TABLE APPEND")
    without_words(text)
    target, source = text.written(2, at).lower(), text.written(at + 2).lower()
    moved = f"WITH moved AS (DELETE FROM {source} RETURNING *) INSERT INTO {target} SELECT * FROM moved"
    return Statement("ddl", moved, (), False, "")


def _checked(kind: str, table: str) -> Statement:
    """Nothing is done, but the table must exist."""
    return Statement(kind, f"DO $check$ BEGIN PERFORM 1 FROM {table.lower()} LIMIT 0; END $check$", (), False, "")


def _vacuum(text: Text) -> Statement:
    """PostgreSQL does what VACUUM is for by itself."""
    at = 1
    while text.upper(at) in ("FULL", "SORT", "DELETE", "ONLY", "REINDEX", "RECLUSTER"):
        at += 1
    end = next((n for n in range(at, len(text.words)) if text.upper(n) in ("TO", "BOOST")), len(text.words))
    return _checked("other", text.written(at, end)) if end > at else Statement("other", NOTHING, (), False, "")


def _analyze(text: Text) -> Statement:
    if text.upper(1) == "COMPRESSION":
        raise Unsupported("ANALYZE COMPRESSION")
    end = next((n for n in range(1, len(text.words)) if text.upper(n) in ("PREDICATE", "ALL")), len(text.words))
    without_words(text)
    return Statement("other", text.written(0, end).lower(), (), False, "")


def _explain(text: Text) -> Statement:
    made = _statement(text.source[text.words[1].start :]) if len(text.words) > 1 else None
    if made is None or not made.postgres:
        raise Malformed("ERROR: syntax error at end of input")
    return Statement("select", f"EXPLAIN {made.postgres}", made.parameters, True, "")


def _declare(text: Text) -> Statement:
    at = next((n for n in range(len(text.words)) if text.upper(n) == "FOR"), 0)
    if not at or at + 1 >= len(text.words):
        raise Malformed("ERROR: syntax error in DECLARE")
    made = _statement(text.source[text.words[at + 1].start :])
    return Statement("other", f"{text.written(0, at + 1)} {made.postgres}", made.parameters, False, "")


def _fetch(text: Text) -> Statement:
    return Statement("select", text.source, (), True, "")


def _as_written(text: Text) -> Statement:
    without_words(text)
    return Statement("other", text.written(), (), False, "")


_BY_WORDS: Final[dict[str, Callable[[Text], Statement | None]]] = {
    "MERGE": _merge,
    "DELETE": _delete,
    "ALTER": _alter,
    "VACUUM": _vacuum,
    "ANALYZE": _analyze,
    "ANALYSE": _analyze,
    "EXPLAIN": _explain,
    "DECLARE": _declare,
    "FETCH": _fetch,
    "CLOSE": _as_written,
    "LOCK": _as_written,
    "COMMENT": _as_written,
}
COMPATIBLE: Final = functions.COMPATIBLE
