"""The rows that a statement returned, in a file: pages of at most 1 MB, each compressed.

A row is a list of fields as GetStatementResult shows them: {"longValue": 1}, {"stringValue": "a"}, {"isNull": True}.
"""

import csv
import io
import json
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

PAGE_BYTES: Final = 1_000_000
# https://docs.aws.amazon.com/redshift/latest/mgmt/data-api-troubleshooting.html
ROW_BYTES: Final = 64 * 1024
MAX_BYTES: Final = 500 * 1024 * 1024
Field = dict[str, Any]
Row = list[Field]


class TooLarge(ValueError):
    """A row, or all of them, exceed what the API returns."""


def field_of(value: Any) -> Field:
    """A value as the API shows it. Numbers with decimals, times and the rest are text."""
    if value is None:
        return {"isNull": True}
    if isinstance(value, bool):
        return {"booleanValue": value}
    if isinstance(value, int):
        return {"longValue": value}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": str(value)}


class Result:
    """Rows and what is known of their columns. Its file is part of a saved state."""

    def __init__(self, columns: list[dict[str, Any]]) -> None:
        self.columns = columns
        self.pages: list[tuple[int, int, int]] = []  # where each begins in the file, its bytes, its rows
        self.rows = self.size = 0
        self._path = _new_file()

    def fill(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write the rows. Raises TooLarge."""
        with self._path.open("wb") as file:
            waiting: list[str] = []
            held = 0
            for row in rows:
                text = json.dumps([field_of(value) for value in row], ensure_ascii=False, separators=(",", ":"))
                size = sum(len(str(value).encode()) for value in row if value is not None)
                if size > ROW_BYTES:
                    raise TooLarge("Packet for query is too large: a row of the result has more than 64 KB.")
                self.size += size
                if self.size > MAX_BYTES:
                    raise TooLarge("Database response exceeded size limit of 500 MB.")
                waiting.append(text)
                held += len(text)
                if held >= PAGE_BYTES:
                    self._write(file, waiting)
                    waiting, held = [], 0
            if waiting:
                self._write(file, waiting)

    def _write(self, file: Any, rows: list[str]) -> None:
        data = zlib.compress(f"[{','.join(rows)}]".encode(), 1)
        self.pages.append((file.tell(), len(data), len(rows)))
        file.write(data)
        self.rows += len(rows)

    def page(self, number: int) -> list[Row]:
        """The rows of a page; none where there is no such page, as in an empty result."""
        if number >= len(self.pages):
            return []
        begin, size, _ = self.pages[number]
        with self._path.open("rb") as file:
            file.seek(begin)
            found: list[Row] = json.loads(zlib.decompress(file.read(size)))
        return found

    def all(self) -> Iterator[Row]:
        """Every row."""
        for number in range(len(self.pages)):
            yield from self.page(number)

    def delete(self) -> None:
        self._path.unlink(missing_ok=True)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_path": self._path.read_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        content = state.pop("_path")
        vars(self).update(state)
        self._path = _new_file()
        self._path.write_bytes(content)


def _new_file() -> Path:
    with tempfile.NamedTemporaryFile(prefix="redshift-result-", delete=False) as file:
        return Path(file.name)


def as_csv(rows: Iterable[Row]) -> str:
    """Rows as GetStatementResultV2 shows them: null is an empty field, an empty text a quoted one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_NOTNULL)
    for row in rows:
        writer.writerow([_plain(one) for one in row])
    return text.getvalue()


def _plain(field: Field) -> Any:
    kind, value = next(iter(field.items()))
    if kind == "isNull":
        return None
    return str(value).lower() if kind == "booleanValue" else str(value)
