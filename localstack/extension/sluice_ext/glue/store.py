"""The data catalog of each account and region: databases, tables with their versions, partitions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sluice_ext import paging
from sluice_ext.glue import errors
from sluice_ext.regions import PerRegion

# https://docs.aws.amazon.com/general/latest/gr/glue.html
MAX_INDEXES: Final = 3


@dataclass
class Partition:
    """``given`` is its PartitionInput."""

    given: dict[str, Any]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Table:
    """``versions`` holds the TableInput of each, the last is the present one."""

    database: str
    versions: dict[int, dict[str, Any]]
    updated: dict[int, datetime]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    partitions: dict[tuple[str, ...], Partition] = field(default_factory=dict)
    indexes: dict[str, dict[str, Any]] = field(default_factory=dict)
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return max(self.versions)

    @property
    def given(self) -> dict[str, Any]:
        return self.versions[self.version]

    @property
    def name(self) -> str:
        return str(self.given["Name"])

    @property
    def keys(self) -> list[dict[str, Any]]:
        """The partition keys: {"Name", "Type"}."""
        return list(self.given.get("PartitionKeys") or [])


@dataclass
class Database:
    """``given`` is its DatabaseInput."""

    given: dict[str, Any]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    tables: dict[str, Table] = field(default_factory=dict)


@dataclass
class Catalog:
    """Of one account in one region."""

    databases: dict[str, Database] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    def database(self, name: str) -> Database:
        """Raises EntityNotFoundException."""
        found = self.databases.get(name.lower())
        if found is None:
            raise errors.not_found(f"Database {name.lower()} not found.")
        return found

    def table(self, database: str, name: str) -> Table:
        """Raises EntityNotFoundException."""
        found = self.database(database).tables.get(name.lower())
        if found is None:
            raise errors.not_found(f"Entity Not Found: Table {name.lower()} not found.")
        return found


CATALOGS = PerRegion(Catalog)


def page[T](listed: Sequence[T], request: Mapping[str, Any], page_size: int) -> tuple[list[T], dict[str, str]]:
    """A page of a list, and {"NextToken": ...} when there is another."""
    try:
        found, more = paging.page(
            listed, request.get("NextToken"), min(request.get("MaxResults") or page_size, page_size)
        )
    except paging.BadToken:
        raise errors.invalid("Invalid NextToken") from None
    return found, {"NextToken": more} if more else {}
