"""pg_trgm: the embedded PostgreSQL's stand-in answers as the real extension does.

Values are those of https://www.postgresql.org/docs/current/pgtrgm.html and of PostgreSQL's own regression tests
(contrib/pg_trgm/expected/pg_trgm.out).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.postgres import own_server


@pytest.fixture(scope="module")
def database() -> Iterator[psycopg.Connection[Any]]:
    """A server of its own, and in it a role that is no superuser and owns its database, as a cluster's master does."""
    with own_server() as dsn:
        with psycopg.connect(f"{dsn} dbname=postgres", autocommit=True) as administrator:
            administrator.execute("CREATE ROLE master LOGIN PASSWORD 'secret'")
            administrator.execute("CREATE DATABASE warehouse OWNER master")
        owner = f"{dsn} user=master password=secret dbname=warehouse"
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA extensions")
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA extensions")
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA extensions")
            connection.execute("SET search_path = public, extensions")
            yield connection


def value(database: psycopg.Connection[Any], question: str, *values: Any) -> Any:
    row = database.execute(question.encode(), values).fetchone()
    assert row
    return row[0]


@pytest.mark.parametrize(
    ("text", "grams"),
    [
        ("cat", ["  c", " ca", "at ", "cat"]),
        ("foo|bar", ["  b", "  f", " ba", " fo", "ar ", "bar", "foo", "oo "]),
        ("", []),
        ("(*&^$@%@", []),
        ("a b c", ["  a", "  b", "  c", " a ", " b ", " c "]),
        (" a b c ", ["  a", "  b", "  c", " a ", " b ", " c "]),
        ("aA bB cC", ["  a", "  b", "  c", " aa", " bb", " cc", "aa ", "bb ", "cc "]),
        ("a b C0*%^", ["  a", "  b", "  c", " a ", " b ", " c0", "c0 "]),
    ],
)
def test_a_text_has_the_trigrams_of_its_words(database: psycopg.Connection[Any], text: str, grams: list[str]) -> None:
    assert value(database, "SELECT show_trgm(%s)", text) == grams


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        ("wow", "WOWa ", 0.5),
        ("wow", " WOW ", 1.0),
        ("---", "####---", 0.0),
        ("word", "two words", 0.36363637),
        ("", "a", 0.0),
        ("kitten", "sitting", 1 / 14),
        ("Gdańsk", "GDAŃSK", 1.0),
        ("Örebro", "örebro AB", 0.7),
    ],
)
def test_similarity_is_the_share_of_common_trigrams(
    database: psycopg.Connection[Any], one: str, other: str, score: float
) -> None:
    assert value(database, "SELECT similarity(%s, %s)", one, other) == pytest.approx(score, abs=1e-6)
    assert value(database, "SELECT similarity(%s, %s)", other, one) == pytest.approx(score, abs=1e-6)
    assert value(database, "SELECT %s::text <-> %s::text", one, other) == pytest.approx(1 - score, abs=1e-6)
    assert value(database, "SELECT similarity(%s, NULL)", one) is None


def test_the_operator_goes_by_the_threshold(database: psycopg.Connection[Any]) -> None:
    assert value(database, "SELECT show_limit()") == pytest.approx(0.3)
    assert (
        value(
            database,
            "SELECT 'word'::text %% 'two words'::text",
        )
        is True
    )
    with database.transaction(force_rollback=True):
        database.execute("SET LOCAL pg_trgm.similarity_threshold = 0.5")
        assert value(database, "SELECT 'word'::text %% 'two words'::text") is False
        assert value(database, "SELECT set_limit(0.36)") == pytest.approx(0.36)
        assert value(database, "SELECT 'word'::text %% 'two words'::text") is True
