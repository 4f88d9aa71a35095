"""Crawlers that run by a schedule, as the clock of EventBridge's rules and Scheduler has them, too."""

from datetime import datetime
from functools import partial

from sluice_ext.glue.crawlers import crawl
from sluice_ext.glue.crawlers.store import CRAWLERS, READY, Crawler, Store
from sluice_ext.pausing import GATE
from sluice_ext.timeline import expressions
from sluice_ext.timeline.clock import CLOCK


def parsed(expression: str) -> expressions.Expression:
    """When cron(...) is due. Raises ValueError when it is none.

    https://docs.aws.amazon.com/glue/latest/dg/monitor-data-warehouse-schedule.html
    """
    if not expression.startswith("cron("):
        raise ValueError(f"{expression} is not cron(...)")
    return expressions.parse(expression, CLOCK.now())


def set_up(crawler: Crawler) -> None:
    """Begin, change or end the schedule, as the crawler says."""
    where = (crawler.account, crawler.region, crawler.name)
    if crawler.schedule and crawler.scheduled:
        CLOCK.repeat(("crawler", where), parsed(crawler.schedule).after, partial(run, *where))
    else:
        CLOCK.cancel(("crawler", where))


def cancel(crawler: Crawler) -> None:
    """End the schedule of a crawler that is deleted."""
    crawler.scheduled = False
    set_up(crawler)


def run(account: str, region: str, name: str, _due: datetime) -> None:
    """The time has come: start the crawler, unless it still runs."""
    with GATE.work("a scheduled crawler", source=True), CRAWLERS.lock:
        crawler = CRAWLERS.of(account, region).crawlers.get(name)
        if crawler is not None and crawler.state == READY:
            crawl.start(crawler)


class Saved:
    """Crawlers with their schedules, for a saved state."""

    def dump(self) -> dict[tuple[str, str], Store]:
        """Everything."""
        return CRAWLERS.dump()

    def load(self, saved: dict[tuple[str, str], Store]) -> None:
        """Restore what `dump` returned."""
        CRAWLERS.load(saved)
        for store in saved.values():
            for crawler in store.crawlers.values():
                set_up(crawler)


SAVED = Saved()
