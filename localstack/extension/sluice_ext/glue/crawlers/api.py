"""The operations of crawlers. https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler.html"""

import json
import statistics
from collections.abc import Callable
from datetime import UTC, datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.glue import errors
from sluice_ext.glue.common import Operation, locked
from sluice_ext.glue.crawlers import classifiers, crawl, requests, schedules
from sluice_ext.glue.crawlers.crawl import LOG_GROUP
from sluice_ext.glue.crawlers.store import CRAWLERS, READY, RUNNING, STOPPING, Crawl, Crawler, Store
from sluice_ext.glue.store import page

_PAGE: Final = 100
_LAST: Final = {"COMPLETED": "SUCCEEDED", "FAILED": "FAILED", "STOPPED": "CANCELLED"}


def _store(context: RequestContext) -> Store:
    return CRAWLERS.of(context.account_id, context.region)


def find(context: RequestContext, name: str) -> Crawler:
    """A crawler by its name. Raises EntityNotFoundException."""
    found = _store(context).crawlers.get(name)
    if found is None:
        raise errors.not_found(f"Crawler entry with name {name} does not exist")
    return found


def _idle(context: RequestContext, name: str) -> Crawler:
    found = find(context, name)
    if found.state != READY:
        raise errors.named("CrawlerRunningException", f"Crawler with name {name} is running: it is {found.state}")
    return found


def tags_of(context: RequestContext, name: str) -> dict[str, str]:
    """The tags of a crawler, to be changed. Raises EntityNotFoundException."""
    with CRAWLERS.lock:
        find(context, name)
        return _store(context).tags.setdefault(name, {})


# -- crawlers ----------------------------------------------------------------------------------------------------------


def create(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """CreateCrawler."""
    store, name = _store(context), request["Name"]
    if name in store.crawlers:
        raise errors.exists(f"Crawler with name {name} already exists")
    expression = requests.schedule(request["Schedule"]) if request.get("Schedule") else ""
    given = requests.made(request, store, context.account_id)
    crawler = Crawler(given, context.account_id, context.region, schedule=expression, scheduled=bool(expression))
    store.crawlers[name] = crawler
    schedules.set_up(crawler)
    if request.get("Tags"):
        store.tags[name] = dict(request["Tags"])
    return {}


def update(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UpdateCrawler. An empty Schedule ends the schedule."""
    crawler = _idle(context, request["Name"])
    expression = request.get("Schedule")
    if expression:
        requests.schedule(expression)
    crawler.given = requests.changed(crawler, request, _store(context))
    if expression is not None:
        crawler.schedule, crawler.scheduled = expression, bool(expression)
    _touch(crawler)
    return {}


def _touch(crawler: Crawler) -> None:
    crawler.version, crawler.updated = crawler.version + 1, datetime.now(UTC)
    schedules.set_up(crawler)


def delete(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeleteCrawler; its tables stay."""
    crawler = _idle(context, request["Name"])
    schedules.cancel(crawler)
    del _store(context).crawlers[crawler.name]
    _store(context).tags.pop(crawler.name, None)
    return {}


def _shown(crawler: Crawler) -> dict[str, Any]:
    now = crawler.crawls[-1] if crawler.crawls else None
    running = now is not None and now.ended is None
    shown: dict[str, Any] = crawler.given | {
        "State": crawler.state,
        "CrawlElapsedTime": int(now.seconds * 1000) if running and now else 0,
        "CreationTime": crawler.created,
        "LastUpdated": crawler.updated,
        "Version": crawler.version,
    }
    if crawler.schedule:
        state = "SCHEDULED" if crawler.scheduled else "NOT_SCHEDULED"
        shown["Schedule"] = {"ScheduleExpression": crawler.schedule, "State": state}
    ended = [one for one in crawler.crawls if one.ended is not None]
    if ended:
        last = ended[-1]
        shown["LastCrawl"] = {"Status": _LAST[last.state], "StartTime": last.started} | _log_of(crawler, last)
    return shown


def _log_of(crawler: Crawler, one: Crawl) -> dict[str, str]:
    shown = {"LogGroup": LOG_GROUP, "LogStream": crawler.name, "MessagePrefix": one.id}
    return shown | ({"ErrorMessage": one.error} if one.error else {})


def get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetCrawler."""
    return {"Crawler": _shown(find(context, request["Name"]))}


def get_many(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetCrawlers, by name."""
    found, more = page(sorted(_store(context).crawlers.items()), request, _PAGE)
    return {"Crawlers": [_shown(one) for _, one in found]} | more


def batch_get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """BatchGetCrawlers."""
    known, names = _store(context).crawlers, request["CrawlerNames"]
    return {
        "Crawlers": [_shown(known[name]) for name in names if name in known],
        "CrawlersNotFound": [name for name in names if name not in known],
    }


def list_names(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ListCrawlers, those with all of the tags."""
    wanted, store = dict(request.get("Tags") or {}).items(), _store(context)
    names = [name for name in sorted(store.crawlers) if wanted <= store.tags.get(name, {}).items()]
    found, more = page(names, request, _PAGE)
    return {"CrawlerNames": found} | more


# -- crawls ------------------------------------------------------------------------------------------------------------


def start(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """StartCrawler."""
    crawler = find(context, request["Name"])
    if crawler.state != READY:
        raise errors.named("CrawlerRunningException", f"Crawler with name {crawler.name} has already started")
    crawl.start(crawler)
    return {}


def stop(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """StopCrawler."""
    crawler = find(context, request["Name"])
    if crawler.state == STOPPING:
        raise errors.named("CrawlerStoppingException", f"Crawler with name {crawler.name} is stopping")
    if crawler.state != RUNNING:
        raise errors.named("CrawlerNotRunningException", f"Crawler with name {crawler.name} isn't running")
    crawl.stop(crawler)
    return {}


_NUMBERS: Final = {"GT": gt, "GE": ge, "LT": lt, "LE": le, "EQ": eq, "NE": ne}
_FIELDS: Final[dict[str, Callable[[Crawl], Any]]] = {
    "CRAWL_ID": lambda one: one.id,
    "STATE": lambda one: one.state,
    "START_TIME": lambda one: one.started.timestamp() * 1000,
    "END_TIME": lambda one: (one.ended or datetime.now(UTC)).timestamp() * 1000,
    "DPU_HOUR": lambda _one: 0.0,
}


def _matches(one: Crawl, filters: list[dict[str, str]]) -> bool:
    for wanted in filters:
        value, given = _FIELDS[wanted["FieldName"]](one), wanted["FieldValue"]
        try:
            asked = given if isinstance(value, str) else float(given)
        except ValueError:
            raise errors.invalid(f"{given} is not a value of {wanted['FieldName']}") from None
        if not _NUMBERS[wanted["FilterOperator"]](value, asked):
            return False
    return True


def list_crawls(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ListCrawls, the newest first."""
    crawler, filters = find(context, request["CrawlerName"]), list(request.get("Filters") or [])
    listed = [one for one in reversed(crawler.crawls) if _matches(one, filters)]
    found, more = page(listed, request, 20)
    return {"Crawls": [_history(crawler, one) for one in found]} | more


def _history(crawler: Crawler, one: Crawl) -> dict[str, Any]:
    shown: dict[str, Any] = {"CrawlId": one.id, "State": one.state, "StartTime": one.started, "DPUHour": 0.0}
    if one.ended:
        shown["EndTime"] = one.ended
    if one.changes:
        shown["Summary"] = json.dumps(
            {
                what: json.dumps({how: {"Details": {"names": names}, "Count": len(names)} for how, names in by.items()})
                for what, by in one.changes.items()
            }
        )
    return shown | _log_of(crawler, one)


def metrics(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetCrawlerMetrics."""
    known = _store(context).crawlers
    names = list(request.get("CrawlerNameList") or sorted(known))
    found, more = page([known[name] for name in names if name in known], request, _PAGE)
    return {"CrawlerMetricsList": [_metrics(one) for one in found]} | more


def _metrics(crawler: Crawler) -> dict[str, Any]:
    ended = [one for one in crawler.crawls if one.ended is not None]
    last = ended[-1] if ended else None
    return {
        "CrawlerName": crawler.name,
        "TimeLeftSeconds": 0.0,
        "StillEstimating": crawler.state == RUNNING,
        "LastRuntimeSeconds": last.seconds if last else 0.0,
        "MedianRuntimeSeconds": statistics.median(one.seconds for one in ended) if ended else 0.0,
        "TablesCreated": last.count("TABLE", "ADD") if last else 0,
        "TablesUpdated": last.count("TABLE", "UPDATE") if last else 0,
        "TablesDeleted": last.count("TABLE", "DELETE") if last else 0,
    }


# -- schedules ---------------------------------------------------------------------------------------------------------


def start_schedule(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """StartCrawlerSchedule."""
    crawler = find(context, request["CrawlerName"])
    if not crawler.schedule:
        raise errors.named("NoScheduleException", f"Crawler with name {crawler.name} has no schedule")
    if crawler.scheduled:
        raise errors.named("SchedulerRunningException", f"The schedule of crawler {crawler.name} is running already")
    crawler.scheduled = True
    schedules.set_up(crawler)
    return {}


def stop_schedule(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """StopCrawlerSchedule."""
    crawler = find(context, request["CrawlerName"])
    if not crawler.scheduled:
        raise errors.named("SchedulerNotRunningException", f"The schedule of crawler {crawler.name} is not running")
    schedules.cancel(crawler)
    return {}


def update_schedule(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UpdateCrawlerSchedule. An empty expression ends the schedule."""
    crawler, expression = find(context, request["CrawlerName"]), request.get("Schedule") or ""
    crawler.schedule = requests.schedule(expression) if expression else ""
    crawler.scheduled = bool(expression)
    _touch(crawler)
    return {}


_OWN: Final[dict[str, Operation]] = {
    "CreateCrawler": create,
    "UpdateCrawler": update,
    "DeleteCrawler": delete,
    "GetCrawler": get,
    "GetCrawlers": get_many,
    "BatchGetCrawlers": batch_get,
    "ListCrawlers": list_names,
    "StartCrawler": start,
    "StopCrawler": stop,
    "ListCrawls": list_crawls,
    "GetCrawlerMetrics": metrics,
    "StartCrawlerSchedule": start_schedule,
    "StopCrawlerSchedule": stop_schedule,
    "UpdateCrawlerSchedule": update_schedule,
} | classifiers.OPERATIONS


OPERATIONS: Final = locked(CRAWLERS.lock, _OWN)
