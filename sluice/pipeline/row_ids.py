"""Whether each row's ``_record_id`` is its object's and occurs once, with the ids of one chunk in memory at a time.

An id is ``<object id>-<offset>``. Chunks whose offsets do not overlap have no id in common, so ids of two chunks need
not be compared. Where they do overlap, or an id has another form, `RowIds.certain` is False: then all ids together are
given as one chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any


@dataclass
class RowIds:
    """The ids of one object's rows in silver and quarantine."""

    object_id: str
    certain: bool = True
    _spans: list[tuple[int, int]] = field(default_factory=list)
    _doubled: int = 0
    _first: str = ""
    _foreign: int = 0

    def add(self, arrays: Iterable[Any]) -> None:
        """``arrays``: pyarrow string arrays, the ids of all rows of one chunk."""
        import pyarrow as pa
        import pyarrow.compute as pc

        ids = pa.chunked_array(list(arrays), pa.string())
        if not len(ids):
            return
        if doubled := len(ids) - pc.count_distinct(ids).as_py():
            if not self._doubled:
                counts = pc.value_counts(ids.combine_chunks())
                self._first = counts.field("values").filter(pc.greater(counts.field("counts"), 1))[0].as_py()
            self._doubled += doubled
        foreign = len(ids) - (pc.sum(pc.starts_with(ids, f"{self.object_id}-")).as_py() or 0)
        self._foreign += foreign
        span = None if foreign else _span(ids, len(self.object_id) + 1)
        if span is None:
            self.certain = False
        else:
            self._spans.append(span)
            self._spans.sort()
            self.certain &= all(before[1] < after[0] for before, after in pairwise(self._spans))

    def problems(self) -> Iterator[str]:
        """What is wrong with them; complete where ``certain`` is True, or all ids came as one chunk."""
        if self._doubled:
            yield f"{self._doubled} rows are there more than once (_record_id), the first is {self._first}"
        if self._foreign:
            yield f"{self._foreign} rows carry the _record_id of another object"


def _span(ids: Any, start: int) -> tuple[int, int] | None:
    """The smallest and the largest offset; None when there is one that is no number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        found = pc.min_max(pc.utf8_slice_codeunits(ids, start).cast(pa.int64())).as_py()
    except pa.ArrowException:
        return None
    return None if found["min"] is None else (found["min"], found["max"])
