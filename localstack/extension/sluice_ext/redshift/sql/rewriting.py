"""Words that only Redshift has, taken out of a statement before it becomes a tree.

They say how rows are stored, which no result depends on.
"""

from sqlglot import Token, TokenType

from sluice_ext.redshift.sql.dialect import tokens
from sluice_ext.redshift.sql.errors import Malformed, Unsupported

_SORT_KINDS = {"COMPOUND", "INTERLEAVED"}


class Text:
    """A statement's source with the places of its words; words can be removed or replaced."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.words = tokens(source)
        self._edits: dict[int, str] = {}

    def upper(self, index: int) -> str:
        """A word in capitals; '' beyond the end, and for quoted names and strings."""
        if not 0 <= index < len(self.words):
            return ""
        word = self.words[index]
        return "" if word.token_type in (TokenType.STRING, TokenType.IDENTIFIER) else word.text.upper()

    def after(self, index: int) -> int:
        """The index behind the parenthesis that opens at ``index``; ``index`` when none does."""
        if self.upper(index) != "(":
            return index
        depth = 0
        for at in range(index, len(self.words)):
            depth += {"(": 1, ")": -1}.get(self.upper(at), 0)
            if depth == 0:
                return at + 1
        raise Malformed("ERROR: syntax error at end of input")

    def remove(self, first: int, end: int) -> None:
        for at in range(first, end):
            self._edits[at] = ""

    def replace(self, index: int, text: str) -> None:
        self._edits[index] = text

    def written(self, first: int = 0, end: int | None = None) -> str:
        """The words from ``first`` to before ``end`` with the edits, and what stood between them."""
        parts: list[str] = []
        stop = len(self.words) if end is None else end
        for at in range(first, stop):
            word: Token = self.words[at]
            if parts:
                between = self.source[self.words[at - 1].end + 1 : word.start]
                parts.append(" " if "--" in between or "/*" in between else between)
            parts.append(self._edits.get(at, self.source[word.start : word.end + 1]))
        return "".join(parts)


def without_storage(text: Text) -> None:
    """Remove DISTSTYLE, DISTKEY, SORTKEY, ENCODE and BACKUP of CREATE TABLE and ADD COLUMN.

    https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html
    """
    at = 0
    while at < len(text.words):
        end = at
        if text.upper(at - 1) in ("(", ","):  # a column may have any name
            pass
        elif (
            text.upper(at) == "DISTSTYLE"
            or (text.upper(at) == "BACKUP" and text.upper(at + 1) in ("YES", "NO"))
            or text.upper(at) == "ENCODE"
        ):
            end = at + 2
        elif text.upper(at) == "DISTKEY":
            end = text.after(at + 1)
        elif text.upper(at) == "SORTKEY" or (text.upper(at) in _SORT_KINDS and text.upper(at + 1) == "SORTKEY"):
            end = at + (2 if text.upper(at) in _SORT_KINDS else 1)
            end = end + 1 if text.upper(end) == "AUTO" else text.after(end)
        elif text.upper(at) == "AUTO" and text.upper(at + 1) == "REFRESH":
            end = at + 3
        elif text.upper(at) == "AS" and text.upper(at + 1) in ("SELECT", "WITH", "("):
            return
        text.remove(at, end)
        at = max(end, at + 1)


def without_words(text: Text) -> None:
    """What every statement may have: names of temporary tables (#name), APPROXIMATE, NO SCHEMA BINDING."""
    for at, word in enumerate(text.words):
        if word.token_type is TokenType.VAR and word.text.startswith("#"):
            text.replace(at, f'"{word.text.lower()}"')
        elif text.upper(at) == "APPROXIMATE" and text.upper(at + 1) in ("COUNT", "PERCENTILE_DISC"):
            text.remove(at, at + 1)  # the exact answer is one of the approximate ones
        elif text.upper(at) == "WITH" and [text.upper(at + n) for n in (1, 2, 3)] == ["NO", "SCHEMA", "BINDING"]:
            text.remove(at, at + 4)
        elif text.upper(at) in ("PIVOT", "UNPIVOT") and text.upper(at + 1) == "(":
            raise Unsupported(text.upper(at))


def temporary(text: Text) -> None:
    """``CREATE TABLE #name`` makes a temporary table."""
    names = [at for at, word in enumerate(text.words[:6]) if word.text.startswith("#")]
    if names and text.upper(1) == "TABLE":
        text.replace(1, "TEMPORARY TABLE")
