"""What Redshift Serverless remembers: namespaces, work groups, usage limits and tags, by account and region."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sluice_ext import paging
from sluice_ext.redshift import errors
from sluice_ext.regions import PerRegion


@dataclass
class Login:
    """The temporary password of a user that IAM stands for."""

    password: str
    expires: datetime
    refresh: datetime


@dataclass
class Namespace:
    """``shown`` is what GetNamespace returns. ``database`` and ``role`` are the names that its database and its
    administrator have on PostgreSQL."""

    shown: dict[str, Any]
    database: str
    role: str
    password: str
    logins: dict[str, Login] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.shown["namespaceName"])

    @property
    def database_name(self) -> str:
        return str(self.shown["dbName"])

    @property
    def administrator(self) -> str:
        return str(self.shown["adminUsername"])


@dataclass
class Workgroup:
    """``shown`` is what GetWorkgroup returns, without the endpoint's address."""

    shown: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.shown["workgroupName"])

    @property
    def arn(self) -> str:
        return str(self.shown["workgroupArn"])


@dataclass
class Store:
    """Of one account in one region."""

    namespaces: dict[str, Namespace] = field(default_factory=dict)
    workgroups: dict[str, Workgroup] = field(default_factory=dict)
    limits: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    def namespace(self, name: str) -> Namespace:
        """Raises ResourceNotFoundException."""
        found = self.namespaces.get(name)
        if found is None:
            raise errors.missing(f"Namespace {name} not found.", name)
        return found

    def workgroup(self, name: str) -> Workgroup:
        """Raises ResourceNotFoundException."""
        found = self.workgroups.get(name)
        if found is None:
            raise errors.missing(f"Workgroup {name} not found.", name)
        return found

    def of_namespace(self, name: str) -> Workgroup | None:
        """The work group of a namespace; it has at most one."""
        return next((one for one in self.workgroups.values() if one.shown["namespaceName"] == name), None)


STORES = PerRegion(Store)


def all_namespaces() -> list[Namespace]:
    """Those of all accounts and regions, which share the server."""
    with STORES.lock:
        return [one for store in STORES.dump().values() for one in store.namespaces.values()]


def now() -> datetime:
    return datetime.now(UTC)


def page[T](listed: Sequence[T], request: Mapping[str, Any], largest: int = 100) -> tuple[list[T], dict[str, str]]:
    """A page of a list, and {"nextToken": ...} when there is another."""
    size = request.get("maxResults") or largest
    if not 1 <= size <= largest:
        raise errors.invalid(f"maxResults must be between 1 and {largest}.")
    try:
        found, more = paging.page(listed, request.get("nextToken"), size)
    except paging.BadToken:
        raise errors.invalid("The pagination token is not valid.") from None
    return found, {"nextToken": more} if more else {}
