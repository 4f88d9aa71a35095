"""Crawlers and classifiers of each account and region."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sluice_ext.regions import PerRegion

READY, RUNNING, STOPPING = "READY", "RUNNING", "STOPPING"
INTERRUPTED: Final = "Internal Service Exception: the engine was stopped during the crawl"
# AWS shows the crawls of 12 months; this engine the last ones.
_MAX_CRAWLS: Final = 500


@dataclass
class Crawl:
    """One run. ``state``: RUNNING, COMPLETED, FAILED or STOPPED."""

    id: str
    started: datetime
    state: str = "RUNNING"
    ended: datetime | None = None
    error: str = ""
    # "TABLE" and "PARTITION" -> {"ADD", "UPDATE", "DELETE"} -> names
    changes: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def changed(self, what: str, how: str, names: list[str]) -> None:
        """Record that tables or partitions were added, updated or deleted."""
        if names:
            self.changes.setdefault(what, {}).setdefault(how, []).extend(names)

    def count(self, what: str, how: str) -> int:
        """How many of them."""
        return len(self.changes.get(what, {}).get(how, []))

    @property
    def seconds(self) -> float:
        return ((self.ended or datetime.now(UTC)) - self.started).total_seconds()


@dataclass
class Crawler:
    """``given`` is what GetCrawler shows of the request that made it."""

    given: dict[str, Any]
    account: str
    region: str
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))
    version: int = 1
    state: str = READY
    schedule: str = ""
    scheduled: bool = False
    crawls: deque[Crawl] = field(default_factory=lambda: deque(maxlen=_MAX_CRAWLS))
    # "bucket/key" -> sample: what a crawler for new folders has read before
    samples: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.given["Name"])

    @property
    def new_folders_only(self) -> bool:
        return bool(self.given["RecrawlPolicy"]["RecrawlBehavior"] == "CRAWL_NEW_FOLDERS_ONLY")


@dataclass
class Store:
    """Of one account in one region."""

    crawlers: dict[str, Crawler] = field(default_factory=dict)
    classifiers: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)  # by the name of the crawler


class Stores(PerRegion[Store]):
    """The stores of all accounts and regions."""

    def load(self, saved: dict[tuple[str, str], Store]) -> None:
        """Restore what `dump` returned. A crawl that ran has failed: it did not end."""
        super().load(saved)
        with self.lock:
            for store in saved.values():
                for crawler in store.crawlers.values():
                    if crawler.state != READY:
                        crawler.state, crawl = READY, crawler.crawls[-1]
                        crawl.state, crawl.error, crawl.ended = "FAILED", INTERRUPTED, datetime.now(UTC)


CRAWLERS = Stores(Store)
