"""A crawl from its start to its end: list, read, group, write; log and events."""

import json
import logging
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError
from localstack.aws.connect import connect_to

from sluice_ext import settings
from sluice_ext.athena.workers import Worker, WorkerLost
from sluice_ext.glue import roles
from sluice_ext.glue.common import announce, role_arn
from sluice_ext.glue.crawlers import listing
from sluice_ext.glue.crawlers.listing import Fetched, Object, Unlisted
from sluice_ext.glue.crawlers.store import CRAWLERS, READY, RUNNING, STOPPING, Crawl, Crawler
from sluice_ext.glue.crawlers.writing import Writer, folder
from sluice_ext.iam import behalf
from sluice_ext.logs.writer import WRITER
from sluice_ext.pausing import GATE

LOG = logging.getLogger(__name__)
LOG_GROUP: Final = "/aws-glue/crawlers"
_BATCH: Final = 100
_SERVICE: Final = "glue"

_crawls = ThreadPoolExecutor(max(2, settings.cores()), thread_name_prefix="glue-crawl")
_fetching = ThreadPoolExecutor(max(2, settings.cores()), thread_name_prefix="glue-crawl-fetch")
_workers: dict[str, Worker] = {}  # by the id of the crawl
_lock = threading.Lock()


class Stopped(Exception):
    """StopCrawler was called."""


def start(crawler: Crawler) -> None:
    """Begin a crawl of a crawler that is READY. The caller holds the lock of the crawlers."""
    crawl = Crawl(str(uuid.uuid4()), datetime.now(UTC))
    crawler.crawls.append(crawl)
    crawler.state = RUNNING
    _crawls.submit(_Run(crawler, crawl).run)


def stop(crawler: Crawler) -> None:
    """Ask a crawl to end; what it has written stays."""
    crawler.state = STOPPING
    with _lock:
        worker = _workers.get(crawler.crawls[-1].id)
    if worker is not None:
        worker.kill()


def shutdown() -> None:
    """End the processes of crawls."""
    with _lock:
        found = list(_workers.values())
    for worker in found:
        worker.kill()


class _Run:
    def __init__(self, crawler: Crawler, crawl: Crawl) -> None:
        self.crawler, self.crawl = crawler, crawl
        self._folder = Path(tempfile.mkdtemp(prefix="glue-crawl-"))
        self._lines: list[str] = []
        self._role = role_arn(str(crawler.given["Role"]), crawler.account)

    def run(self) -> None:
        """Never raises: a crawl that fails says why."""
        name = self.crawler.name
        self._event("Started", "Crawler Started", startTime=_stamp(self.crawl.started))
        self._log(f"BENCHMARK : Running Start Crawl for Crawler {name}")
        self._log(
            f"INFO : Crawler configured with SchemaChangePolicy {json.dumps(self.crawler.given['SchemaChangePolicy'])}."
        )
        state, error = "COMPLETED", ""
        try:
            self._crawl()
        except Stopped:
            state = "STOPPED"
        except Unlisted as problem:
            state, error = "FAILED", str(problem)
        except ClientError as problem:
            answer = problem.response["Error"]
            state, error = "FAILED", f"{answer.get('Message', '')} (Error Code: {answer['Code']})"
        except WorkerLost:
            state, error = "FAILED", "Internal Service Exception: the process that reads samples ended"
            if self.crawler.state == STOPPING:
                state, error = "STOPPED", ""
        except Exception as problem:
            LOG.exception("Crawler %s", name)
            state, error = "FAILED", f"Internal Service Exception: {problem}"
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        with GATE.work("the end of a crawl"):
            self._end(state, error)

    def _end(self, state: str, error: str) -> None:
        if error:
            self._log(f"ERROR : {error}")
        self._log("BENCHMARK : Crawler has finished running and is in state READY")
        self._flush()
        with CRAWLERS.lock:
            self.crawl.state, self.crawl.error, self.crawl.ended = state, error, datetime.now(UTC)
            self.crawler.state = READY
        if state == "FAILED":
            self._event("Failed", "Crawler Failed", errorMessage=error)
            return
        counted = {
            f"{what.lower()}s{how}": str(self.crawl.count(what, key))
            for what in ("TABLE", "PARTITION")
            for how, key in (("Created", "ADD"), ("Updated", "UPDATE"), ("Deleted", "DELETE"))
        }
        self._event(
            "Succeeded" if state == "COMPLETED" else "Stopped",
            f"Crawler {'Succeeded' if state == 'COMPLETED' else 'Stopped'}",
            completionDate=_stamp(self.crawl.ended),
            warningMessage="N/A",
            **counted,
            **{"runningTime (sec)": str(round(self.crawl.seconds))},
        )

    def _crawl(self) -> None:
        crawler = self.crawler
        clients = connect_to.with_assumed_role(
            role_arn=self._role, service_principal=_SERVICE, session_name=f"AWSGlue-{crawler.name}"[:64],
            region_name=crawler.region,
        )  # fmt: skip
        if not roles.assumable(self._role, crawler.account):
            raise Unlisted("Service is unable to assume provided role. Please verify role's TrustPolicy.")
        tables = self._tables(clients.glue)
        targets = [
            *crawler.given["Targets"]["S3Targets"],
            *({"Path": folder(table["StorageDescriptor"]["Location"])} for table in tables),
        ]
        found: dict[str, Object] = {}
        for target in targets:
            for one in listing.objects(clients.s3, target):
                found.setdefault(one.place, one)
        self._check()
        worker = Worker("sluice_ext.glue.crawlers.worker")
        with _lock:
            _workers[self.crawl.id] = worker
        try:
            self._check()
            samples = self._samples(worker, clients.s3, found)
            roots = [listing.root_of(target["Path"]) for target in targets]
            described = self._grouped(worker, samples, roots)
        finally:
            with _lock:
                _workers.pop(self.crawl.id, None)
            worker.kill()
        self._log(f"BENCHMARK : Classification complete, writing results to database {crawler.given['DatabaseName']}")
        for table in described:
            for name in table["hidden"]:
                self._log(f"WARN : Column {name} of {table['name']} is hidden by the partition key of that name")
        self._check()
        writer = Writer(clients.glue, crawler, self.crawl, self._log)
        if tables:
            writer.update(tables, described)
        else:
            writer.write(described, roots)
        self._log("BENCHMARK : Finished writing to Catalog")

    def _tables(self, glue: Any) -> list[dict[str, Any]]:
        """The tables that the crawler was given as targets; none when it makes its own."""
        found = []
        for target in self.crawler.given["Targets"]["CatalogTargets"]:
            for name in target["Tables"]:
                table = glue.get_table(DatabaseName=target["DatabaseName"], Name=name)["Table"]
                place = str((table.get("StorageDescriptor") or {}).get("Location") or "")
                if not place.startswith("s3://"):
                    raise Unlisted(
                        f"Table {target['DatabaseName']}.{name} is not in Amazon S3: its location is {place!r}"
                    )
                found.append(table)
        return found

    def _samples(self, worker: Worker, s3: Any, found: dict[str, Object]) -> list[dict[str, Any]]:
        """Of each object; a crawler for new folders reads none of the folders that it knows."""
        known = self.crawler.samples if self.crawler.new_folders_only else {}
        folders = {place.rpartition("/")[0] + "/" for place in known}
        wanted = [one for one in found.values() if one.folder not in folders]
        classifiers = self._classifiers()
        batches = [wanted[at : at + _BATCH] for at in range(0, len(wanted), _BATCH)]
        read: list[dict[str, Any]] = []
        coming = self._fetch(s3, batches[0]) if batches else iter(())
        for at in range(len(batches)):
            batch = self._on_disk(coming)
            self._check()
            if at + 1 < len(batches):
                coming = self._fetch(s3, batches[at + 1])  # while the process reads these
            read += worker.ask({"read": batch, "classifiers": classifiers})["samples"]
            for sample in batch:
                Path(sample["path"]).unlink(missing_ok=True)
            self._check()
        if self.crawler.new_folders_only:
            self.crawler.samples = known | {one["place"]: one for one in read}
            return list(self.crawler.samples.values())
        return read

    def _fetch(self, s3: Any, batch: list[Object]) -> Iterator[Fetched]:
        return listing.fetched(s3, batch, self._folder, _fetching)

    def _on_disk(self, fetched: Iterator[Fetched]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for one in fetched:
            if one.error:
                self._log(f"ERROR : {one.error}. Tables created did not infer schemas from this file.")
            else:
                found.append({"place": one.object.place, "path": one.path, "size": one.object.size})
        return found

    def _grouped(self, worker: Worker, samples: list[dict[str, Any]], roots: list[str]) -> list[dict[str, Any]]:
        configured = json.loads(self.crawler.given.get("Configuration") or "{}")
        grouping = configured.get("Grouping") or {}
        message = {
            "group": samples,
            "roots": roots,
            "grouping": {
                "combine": grouping.get("TableGroupingPolicy") == "CombineCompatibleSchemas"
                or bool(self.crawler.given["Targets"]["CatalogTargets"]),
                "level": grouping.get("TableLevelConfiguration"),
            },
            "prefix": self.crawler.given.get("TablePrefix") or "",
        }
        found = list(worker.ask(message)["tables"])
        threshold = ((configured.get("CrawlerOutput") or {}).get("Tables") or {}).get("TableThreshold")
        if threshold is not None and len(found) > threshold:
            raise Unlisted(
                f"The number of tables detected by crawler: {len(found)} is greater than the table threshold value "
                f"provided: {threshold}. No tables were written to the Data Catalog."
            )
        return found

    def _classifiers(self) -> list[dict[str, Any]]:
        known = CRAWLERS.of(self.crawler.account, self.crawler.region).classifiers
        wanted = [known[name] for name in self.crawler.given["Classifiers"] if name in known]
        return [{key: value for key, value in one.items() if key not in _TIMES} for one in wanted]

    def _check(self) -> None:
        if self.crawler.state == STOPPING:
            raise Stopped

    # -- log and events ------------------------------------------------------------------------------------------------

    def _log(self, line: str) -> None:
        self._lines.append(f"[{self.crawl.id}] {line}")

    def _flush(self) -> None:
        """Write the log, where the role may."""
        account, region, stream = self.crawler.account, self.crawler.region, self.crawler.name
        if behalf.may_write_log(self._role, region, LOG_GROUP, stream):
            WRITER.add(account, region, LOG_GROUP, stream, "\n".join(self._lines))

    def _event(self, state: str, message: str, **more: str) -> None:
        crawler = self.crawler
        detail = {
            "accountId": crawler.account, "crawlerName": crawler.name, "state": state, "message": message,
            "cloudWatchLogLink": f"https://console.aws.amazon.com/cloudwatch/home?region={crawler.region}"
            f"#logEventViewer:group={LOG_GROUP};stream={crawler.name}",
        } | more  # fmt: skip
        announce(crawler.account, crawler.region, "Glue Crawler State Change", detail)


_TIMES: Final = ("CreationTime", "LastUpdated")


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
