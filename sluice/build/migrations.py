"""Whether a migration of the warehouse leaves the code that is in service working.

A deployment migrates first, and during a gradual shift, or after a rollback, the version before runs on the new tables.
So a migration adds; what it would take away goes in a release after the one whose code no longer uses it. Such a
migration says so: ``-- unused since 0.2.0``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_TEXT = re.compile(r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'", re.DOTALL)
_UNUSED = re.compile(r"^-- unused since (\d+(?:\.\d+)*)$", re.MULTILINE)
_GONE = "TABLE|COLUMN|SCHEMA|VIEW|MATERIALIZED VIEW|FUNCTION|PROCEDURE|AGGREGATE|TYPE|DOMAIN|SEQUENCE|EXTENSION|ROLE"
_RULES = (
    (re.compile(rf"\bDROP (?:{_GONE}|OWNED)\b"), "it drops what older code uses"),
    (re.compile(r"^ALTER TABLE .*\bDROP (?!(?:CONSTRAINT|DEFAULT|NOT NULL|EXPRESSION|IDENTITY)\b)"),
     "it drops a column"),
    (re.compile(r"\bRENAME\b"), "it renames what older code uses"),
    (re.compile(r"^ALTER .*\bSET SCHEMA\b"), "it moves what older code uses"),
    (re.compile(r"^ALTER TABLE .*\bALTER (?:COLUMN )?\S+ (?:SET DATA )?TYPE\b"), "it alters the type of a column"),
    (re.compile(r"\bSET NOT NULL\b"), "older code may leave the column out"),
    (re.compile(r"^ALTER TABLE .*\bDROP DEFAULT\b"), "older code may leave the column out"),
    (re.compile(r"^ALTER TABLE .*\bADD (?:CONSTRAINT|CHECK|UNIQUE|PRIMARY KEY|FOREIGN KEY|EXCLUDE)\b"),
     "older code may write what the constraint refuses"),
    (re.compile(r"^CREATE UNIQUE INDEX\b"), "older code may write what the index refuses"),
    (re.compile(r"^TRUNCATE\b"), "it deletes rows"),
    (re.compile(r"^REVOKE\b.*\bFROM\b.*\bSLUICE_(?:LOADER|READER)\b"), "older code may need the privilege"),
)  # fmt: skip
_ADDED = re.compile(
    r"\bADD (?:COLUMN )?(?:IF NOT EXISTS )?(?!CONSTRAINT\b|CHECK\b|UNIQUE\b|PRIMARY\b|FOREIGN\b|EXCLUDE\b)"
)


def incompatible(sql: str, release: str) -> list[str]:
    """Why older code may not work any more, one line for each statement; none when it does.

    release: the version of this code. A migration that says since which earlier release nothing uses what it takes
    away is not looked at further.
    """
    said = _UNUSED.search(sql)
    if said and _parts(said[1]) < _parts(release):
        return []
    found = ((next(_reasons(statement), ""), statement) for statement in _statements(sql))
    return [f"{reason}: {statement[:80]}" for reason, statement in found if reason]


def _reasons(statement: str) -> Iterator[str]:
    yield from (reason for rule, reason in _RULES if rule.search(statement))
    if statement.startswith("ALTER TABLE "):
        for clause in _clauses(statement):
            if _ADDED.search(clause) and "NOT NULL" in clause and not re.search(r"\bDEFAULT\b|\bGENERATED\b", clause):
                yield "older code leaves the new column out, which is NOT NULL without a default"


def _statements(sql: str) -> list[str]:
    """The statements in upper case, on one line each, without comments; texts and function bodies are empty."""
    plain = _TEXT.sub("''", _COMMENT.sub(" ", sql))
    return [" ".join(part.split()).upper() for part in plain.split(";") if part.strip()]


def _clauses(statement: str) -> list[str]:
    """The parts of an ALTER TABLE that commas divide, those in brackets left out."""
    depth, parts = 0, [""]
    for character in statement:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
