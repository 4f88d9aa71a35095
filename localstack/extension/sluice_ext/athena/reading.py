"""Rows of a query's result, read from the file in S3 that the query wrote.

https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html
"""

import csv
import io
from collections.abc import Iterator

MAX_ROWS = 1000
_ONE_NULL: list[str | None] = [None]


def rows_of_csv(content: str) -> Iterator[list[dict[str, str]]]:
    """Rows as GetQueryResults shows them; an empty value without quotes is NULL, which has no VarCharValue."""
    for line in csv.reader(io.StringIO(content), quoting=csv.QUOTE_NOTNULL):
        # A row of one NULL is an empty line.
        yield [{} if value is None else {"VarCharValue": value} for value in line or _ONE_NULL]


def rows_of_text(content: str, columns: int) -> Iterator[list[dict[str, str]]]:
    """Rows of the text that SHOW and DESCRIBE write: one value a line, or values between tabs."""
    for line in content.splitlines():
        yield [{"VarCharValue": value} for value in (line.split("\t") if columns > 1 else [line])]
