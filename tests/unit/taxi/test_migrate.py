"""taxi-migrate: tables, users and rights, however often and whatever is there before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from taxi.migrate import schema
from tests.support.handlers import Context, loaded

SETTINGS = {"LOADER_ROLE": "load-job", "READER_ROLES": json.dumps(["steps"]), "ADMIN_SECRET_ARN": "arn:secret"}


class Redshift:
    """The Data API of a database with these users; statements end at the second look."""

    def __init__(self) -> None:
        self.users: set[str] = set()
        self.sqls: list[str] = []
        self.asked: dict[str, Any] = {}
        self.results: dict[str, list[Any]] = {}
        self.failed: dict[str, str] = {}
        self.made_meanwhile = ""

    def execute_statement(self, **asked: Any) -> dict[str, str]:
        self.asked = asked
        sql, number = asked["Sql"], str(len(self.sqls))
        self.sqls.append(sql)
        if sql == schema.USERS:
            [bound] = asked["Parameters"]
            self.results[number] = [[{"stringValue": bound["value"]}]] if bound["value"] in self.users else []
        else:
            user = sql.split('"')[1]
            if self.made_meanwhile == user:
                self.users.add(user)
            if user in self.users or self.made_meanwhile == "never":
                self.failed[number] = f'ERROR: user "{user}" already exists'
            self.users.add(user) if self.made_meanwhile != "never" else None
        return {"Id": number}

    def batch_execute_statement(self, **asked: Any) -> dict[str, str]:
        self.asked = asked
        self.sqls += asked["Sqls"]
        return {"Id": "batch"}

    def describe_statement(self, Id: str) -> dict[str, str]:  # noqa: N803
        return {"Status": "FAILED", "Error": self.failed[Id]} if Id in self.failed else {"Status": "FINISHED"}

    def get_statement_result(self, Id: str) -> dict[str, Any]:  # noqa: N803
        return {"Records": self.results[Id]}


@pytest.fixture
def redshift() -> Redshift:
    return Redshift()


@pytest.fixture
def migrate(redshift: Redshift) -> Iterator[Any]:
    with loaded("taxi.migrate.handler", settings=SETTINGS, **{"redshift-data": redshift, "s3": MagicMock()}) as module:
        yield lambda: module.handler({}, Context())


def test_tables_come_first_and_rights_last(migrate: Any, redshift: Redshift) -> None:
    done = migrate()
    assert done == {"users": {"created": ["IAMR:load-job", "IAMR:steps"], "granted": ["IAMR:load-job", "IAMR:steps"]},
                    "tables": 3}  # fmt: skip
    assert redshift.sqls[: len(schema.TABLES)] == list(schema.TABLES)
    assert redshift.sqls[-1].startswith("GRANT")
    assert 'CREATE USER "IAMR:steps" PASSWORD DISABLE' in redshift.sqls
    assert redshift.asked["SecretArn"] == "arn:secret"


def test_a_second_time_makes_no_user(migrate: Any, redshift: Redshift) -> None:
    migrate()
    first, redshift.sqls = redshift.sqls, []
    assert migrate()["users"]["created"] == []
    assert set(redshift.sqls) < set(first)


def test_a_user_that_is_made_in_between_is_there(migrate: Any, redshift: Redshift) -> None:
    redshift.made_meanwhile = "IAMR:load-job"
    assert migrate()["users"]["created"] == ["IAMR:steps"]


def test_a_user_that_cannot_be_made_is_an_error(migrate: Any, redshift: Redshift) -> None:
    redshift.made_meanwhile = "never"
    with pytest.raises(RuntimeError, match="already exists"):
        migrate()


def test_the_table_has_the_published_columns_then_batch_and_source() -> None:
    columns = [line.split()[0] for line in schema.TRIPS.split("(", 1)[1].splitlines()[1:] if line.startswith("    ")]
    assert columns == [
        "vendor_id", "pickup_datetime", "dropoff_datetime", "passenger_count", "trip_distance", "pickup_location_id",
        "dropoff_location_id", "payment_type", "fare_amount", "tip_amount", "total_amount",
        "load_batch", "source", "loaded_at",
    ]  # fmt: skip


def test_the_load_may_change_rows_and_readers_may_read() -> None:
    granted = schema.grants("IAMR:l", ["IAMR:r"])
    tables = ("yellow_trips", "yellow_loads", "yellow_trips_monthly")
    assert [one for one in granted if "IAMR:r" in one] == [f'GRANT SELECT ON {table} TO "IAMR:r"' for table in tables]
    assert not [one for one in granted if "ALL" in one or "PUBLIC" in one]


@pytest.mark.parametrize("role", ["", 'x"; DROP TABLE yellow_trips; --', "a b", "x" * 65])
def test_a_name_that_is_no_roles_is_refused(role: str) -> None:
    with pytest.raises(ValueError, match="is not the name of an IAM role"):
        schema.user_of(role)
