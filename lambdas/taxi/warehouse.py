"""SQL in Redshift Serverless through its Data API: no connection, no driver, no password in the function."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

_WAITS: Final = (0.1, 0.2, 0.4, 0.8)
_LAST_WAIT: Final = 1.0
_ENDED: Final = ("FINISHED", "FAILED", "ABORTED")


class StatementFailed(RuntimeError):
    """Redshift's own words."""


class Warehouse:
    """One database of a workgroup. ``secret_arn``: as the admin; else as the user of the function's role."""

    def __init__(
        self,
        client: Any,
        workgroup: str,
        database: str,
        secret_arn: str = "",
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._where = {"WorkgroupName": workgroup, "Database": database} | (
            {"SecretArn": secret_arn} if secret_arn else {}
        )
        self._wait = wait

    def run(self, sql: str, parameters: Mapping[str, str] | None = None) -> str:
        """Runs one statement to its end; its id. Raises StatementFailed."""
        bound = {"Parameters": [{"name": name, "value": value} for name, value in (parameters or {}).items()]}
        begun = self._client.execute_statement(**self._where, Sql=sql, **(bound if parameters else {}))
        return self._end(begun["Id"])

    def run_all(self, statements: Sequence[str], name: str) -> str:
        """Runs statements as one transaction to its end; its id. Raises StatementFailed."""
        begun = self._client.batch_execute_statement(**self._where, Sqls=list(statements), StatementName=name)
        return self._end(begun["Id"])

    def rows(self, sql: str, parameters: Mapping[str, str] | None = None) -> list[list[Any]]:
        """All rows of a query: str, int, float, bool, None. Raises StatementFailed."""
        found: list[list[Any]] = []
        following: dict[str, str] = {}
        statement = self.run(sql, parameters)
        while True:
            page = self._client.get_statement_result(Id=statement, **following)
            found += [[_plain(field) for field in record] for record in page["Records"]]
            if not page.get("NextToken"):
                return found
            following = {"NextToken": page["NextToken"]}

    def _end(self, statement: str) -> str:
        waits = iter(_WAITS)
        while True:
            found = self._client.describe_statement(Id=statement)
            if found["Status"] in _ENDED:
                break
            self._wait(next(waits, _LAST_WAIT))
        if found["Status"] != "FINISHED":
            raise StatementFailed(found.get("Error") or f"the statement {statement} is {found['Status']}")
        return statement


def _plain(field: Mapping[str, Any]) -> Any:
    if field.get("isNull"):
        return None
    [value] = field.values()
    return value
