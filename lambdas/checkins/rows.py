"""Check-ins in DynamoDB: how a row is stored, and how a user's are found between two times.

Table: ``pk`` = ``row#<dataset>#<key>``, ``sk`` = the key (see dynamo.rows.row_key); indexes ``by_user`` (user_key,
time_key) and ``by_object``.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sluice_pipeline.catalog.checks import RowChecks
from sluice_pipeline.catalog.datasets import Dataset
from sluice_pipeline.dynamo.keys import index_key
from sluice_pipeline.dynamo.pages import InvalidQuery, Page, Place, page
from sluice_pipeline.dynamo.rows import keyed_item
from sluice_pipeline.dynamo.values import text_of

DATASET: Final = "checkins"  # when no other is named
CURSOR_SECONDS: Final = 86_400  # for which a cursor can be followed
LONGEST_USER: Final = 4096  # characters


def item_of(dataset: Dataset, section: RowChecks, row: Mapping[str, Any], received_at: str, run: int) -> dict[str, Any]:
    """The item of a silver row."""
    item = keyed_item(dataset.name, dataset.key, row, dataset.partition_by, received_at, run)
    return item | {"user_key": index_key(dataset.name, row[section.person])}


class Checkins:
    """Reads what the branch has loaded. This is the query of ``GET /checkins`` and of ``sluice checkins ls``."""

    def __init__(self, client: Any, table: str, dataset: str = DATASET) -> None:
        self._client = client
        self._place = Place(table, "user_key", "time_key", "by_user")
        self._dataset = dataset

    def of_user(self, user: str, since: str = "", until: str = "", limit: int = 100, cursor: str = "") -> Page:
        """A user's check-ins with ``since`` <= time < ``until``, newest first; a time without a zone is UTC.

        Raises:
            InvalidQuery: no user, no such time, the times are the wrong way round, the limit is not 1 to 1000, or the
                cursor is none of this query or older than CURSOR_SECONDS.
        """
        if not user or len(user) > LONGEST_USER:
            raise InvalidQuery(f"user must have 1 to {LONGEST_USER} characters")
        begin, end = _moment("from", since), _moment("to", until)
        if begin and end and begin >= end:
            raise InvalidQuery("from must lie before to")
        value = index_key(self._dataset, user)
        found = page(
            self._client,
            self._place,
            value,
            since=begin,
            until=end,
            limit=limit,
            cursor=cursor,
            newest_first=True,
            lifetime=CURSOR_SECONDS,
        )
        return Page([item["row"] for item in found.items], found.cursor)


def _moment(name: str, text: str) -> str:
    """A time as keys hold it; '' for none."""
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
        return text_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise InvalidQuery(f"{name} is no time such as 2026-03-01 or 2026-03-01T08:00:00Z") from error
