"""A migration leaves the code of the release before working: a shift has both in service, a rollback that one alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sluice
from sluice.build.migrations import incompatible
from sluice.paths import LAMBDAS_DIR

MIGRATIONS = sorted((LAMBDAS_DIR / "warehouse/migrate/migrations").glob("*.sql"))
REFUSED = [
    "DROP TABLE control.loads",
    "DROP TABLE IF EXISTS control.loads",
    "ALTER TABLE control.loads DROP COLUMN rows",
    "ALTER TABLE control.loads DROP rows",
    "ALTER TABLE control.loads ADD COLUMN a int, DROP COLUMN IF EXISTS rows",
    "ALTER TABLE control.loads RENAME COLUMN rows TO row_count",
    "ALTER TABLE control.loads RENAME TO runs",
    "ALTER TABLE control.loads SET SCHEMA silver",
    "ALTER TABLE control.loads ALTER COLUMN rows TYPE integer",
    "ALTER TABLE control.loads ALTER rows SET DATA TYPE numeric(10, 2)",
    "ALTER TABLE control.loads ALTER COLUMN rows SET NOT NULL",
    "ALTER TABLE control.loads ALTER COLUMN loaded_at DROP DEFAULT",
    "ALTER TABLE control.loads ADD COLUMN a int NOT NULL",
    "ALTER TABLE control.loads ADD a int NOT NULL",
    "ALTER TABLE control.loads ADD COLUMN b int NOT NULL DEFAULT 0, ADD COLUMN a int NOT NULL",
    "ALTER TABLE control.loads ADD CONSTRAINT positive CHECK (rows > 0)",
    "ALTER TABLE control.loads ADD CHECK (rows > 0)",
    "CREATE UNIQUE INDEX one ON control.loads (dataset)",
    "DROP FUNCTION canonical.key_part(text)",
    "DROP SCHEMA canonical CASCADE",
    "TRUNCATE control.loads",
    "REVOKE SELECT ON control.loads FROM sluice_reader",
]
ALLOWED = [
    "CREATE TABLE IF NOT EXISTS control.more (a int NOT NULL, dropped text)",
    "ALTER TABLE control.loads ADD COLUMN IF NOT EXISTS a int",
    "ALTER TABLE control.loads ADD COLUMN a numeric(10, 2) NOT NULL DEFAULT 0",
    "ALTER TABLE control.loads ADD COLUMN a int GENERATED ALWAYS AS (1) STORED NOT NULL",
    "ALTER TABLE control.loads ALTER COLUMN rows DROP NOT NULL",
    "ALTER TABLE control.loads DROP CONSTRAINT loads_rows_check",
    "ALTER TABLE control.loads ALTER COLUMN rows SET DEFAULT 0",
    "CREATE INDEX IF NOT EXISTS some ON control.loads (dataset)",
    "DROP INDEX IF EXISTS control.some",
    "COMMENT ON TABLE control.loads IS 'DROP TABLE control.loads; TRUNCATE x'",
    "-- DROP TABLE control.loads;\nSELECT 1",
    "DO $$ BEGIN DROP TABLE IF EXISTS pg_temp.x; END $$",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
]


@pytest.mark.parametrize("file", MIGRATIONS, ids=lambda file: file.stem)
def test_every_migration_leaves_older_code_working(file: object) -> None:
    assert incompatible(file.read_text(), sluice.__version__) == []  # type: ignore[attr-defined]


def test_the_migrations_are_there() -> None:
    assert len(MIGRATIONS) >= 5


@pytest.mark.parametrize("sql", REFUSED)
def test_what_takes_away_is_refused(sql: str) -> None:
    assert len(incompatible(f"{sql};", "0.2.0")) == 1


@pytest.mark.parametrize("sql", ALLOWED)
def test_what_adds_is_allowed(sql: str) -> None:
    assert incompatible(f"{sql};", "0.2.0") == []


@given(
    refused=st.sampled_from(REFUSED), around=st.lists(st.sampled_from(ALLOWED), max_size=3), place=st.integers(0, 3),
    gap=st.sampled_from([" ", "\n", "\n    ", " /* x; */ ", " -- y; z\n"]), upper=st.booleans(),
)  # fmt: skip
def test_no_spacing_case_or_company_hides_it(
    refused: str, around: list[str], place: int, gap: str, upper: bool
) -> None:
    written = (refused.upper() if upper else refused.lower()).replace(" ", gap)
    statements = [*around[:place], written, *around[place:]]
    assert len(incompatible(";\n".join(statements), "0.2.0")) == 1


@pytest.mark.parametrize(
    ("since", "release", "refused"), [("0.2.0", "0.3.0", 0), ("0.3.0", "0.3.0", 1), ("0.9", "0.10", 0)]
)
def test_what_an_earlier_release_no_longer_uses_may_go(since: str, release: str, refused: int) -> None:
    sql = f"-- depends: 0005.arrivals\n-- unused since {since}\nALTER TABLE control.loads DROP COLUMN rows;"
    assert len(incompatible(sql, release)) == refused
