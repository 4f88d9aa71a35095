"""The rows of one dataset in one object, as its engine of expectations reads them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from sluice_pipeline.catalog.datasets import Dataset

RECORD_ID: Final = "_record_id"
SAMPLES: Final = 5  # of an expectation's failed rows
_AT_ONCE: Final = 65_536  # rows in memory, of the columns that are read


class RowsChanged(RuntimeError):
    """A file has other rows than the ledger says: another worker writes it just now, and a retry finds it whole."""


@dataclass(frozen=True, slots=True)
class File:
    bucket: str
    key: str
    rows: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """``judged``: rows that have what the expectation reads; of all rows together, how many there are.

    ``first``: the numbers of the first failed rows, at most SAMPLES, the first row of the first file being 0.
    ``observed``: what was found, for the kinds that no single row fails.
    """

    passed: bool
    judged: int
    failed: int = 0
    first: tuple[int, ...] = ()
    observed: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """``arrived``: when the object came. ``read``: gives the body of a file."""

    dataset: Dataset
    files: Sequence[File]
    arrived: datetime
    read: Callable[[File], bytes]

    @property
    def count(self) -> int:
        return sum(file.rows for file in self.files)

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of all rows in their order, a part at a time.

        Raises:
            RowsChanged: as it says.
        """
        names = list(dict.fromkeys(columns))
        for file in self.files:
            # Not through a dataset: the folder names (dt=...) are no columns.
            source = pq.ParquetFile(pa.BufferReader(self.read(file)))
            if source.metadata.num_rows != file.rows:
                raise RowsChanged(f"{file.key} has {source.metadata.num_rows} rows and not {file.rows}")
            for batch in source.iter_batches(_AT_ONCE, columns=names, use_threads=False):
                yield pa.Table.from_batches([batch]).select(names)

    def pick(self, numbers: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
        """These rows by their numbers, as Python values of these columns and RECORD_ID."""
        left = sorted(set(numbers))
        found: dict[int, dict[str, Any]] = {}
        begin = 0
        for table in self.tables([RECORD_ID, *columns]) if left else ():
            here = [number for number in left if begin <= number < begin + table.num_rows]
            if here:
                rows = table.take(pa.array([number - begin for number in here])).to_pylist()
                found |= dict(zip(here, rows, strict=True))
            begin += table.num_rows
            if len(found) == len(left):
                break
        return found
