"""A staged run becomes visible, or is withheld, as its verdict says.

Every step may be repeated: the audited files have the run in their names, copying one again gives the same bytes, and
each change of the ledger names the run and the state that it expects. A run that is not the newest is left alone.
"""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from quality.notices import notify_failed, notify_withheld
from quality.staged_run import NotStaged, item_of, outputs_of
from quality.verdict import NoVerdict, Verdict, verdict_key
from sluice_pipeline.ledger.items import ObjectItem, Output, Released, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.staged import StagedRuns
from sluice_pipeline.notices.ending import RunEnd
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.objects.fencing import RunFiles
from sluice_pipeline.objects.keys import leftovers_prefix, staged_key
from sluice_pipeline.runtime.clock import now
from sluice_pipeline.runtime.errors import code_of

REPLACED: Final = "replaced"
CODE_WITHHELD: Final = "quality"
CODE_FAILED: Final = "audit_failed"
_WORKERS: Final = 10  # connections of a client (sluice_pipeline.runtime.clients)
_FEW: Final = 32  # calls; threads cost more than they save
_NAMED: Final = 5  # expectations in the ledger's text


@dataclass(frozen=True, slots=True)
class Buckets:
    silver: str
    staging: str
    quality: str


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a run: ``committed``, ``withheld``, ``staged`` (without a verdict) or ``replaced``.

    ``new``: whether this call has ended it.
    """

    outcome: str
    new: bool = False
    rows: int = 0


class Publisher:
    def __init__(
        self, s3: Any, buckets: Buckets, ledger: Ledger, staged: StagedRuns, end: RunEnd, notices: Notices
    ) -> None:
        self._s3 = s3
        self._buckets = buckets
        self._ledger = ledger
        self._staged = staged
        self._end = end
        self._notices = notices

    def publish(self, object_id: str, run: int, error: str = "", release: str = "") -> Published:
        """Does what the verdict says. ``error``: why there is none. ``release``: why an operator overrules it.

        Raises:
            NotStaged, Superseded: tried again, it may succeed or is found to be replaced.
            NoVerdict: there is none, and no ``error`` says why.
        """
        item = item_of(self._ledger, object_id, run, _BEFORE)
        if int(item["run"]) > run:
            return Published(REPLACED)
        if item["state"] == State.COMMITTED:  # the files that a former attempt did not come to delete
            self._delete_staged(run, self._outputs(item)[1])
            return Published(str(item["state"]))
        if release:
            return self._commit(item, Released(at=now(), reason=release))
        try:
            verdict = self._verdict(object_id, run)
        except NoVerdict as missing:
            if not error:
                raise
            return self._note_unaudited(item, f"{error} ({missing})")
        if verdict.passed:
            return self._commit(item)
        return self._withhold(item, verdict)

    def _verdict(self, object_id: str, run: int) -> Verdict:
        """Raises NoVerdict."""
        key = verdict_key(object_id, run)
        try:
            body = self._s3.get_object(Bucket=self._buckets.quality, Key=key)["Body"].read()
        except ClientError as error:
            # A role without s3:ListBucket is answered 403 for what is not there.
            if code_of(error) in ("NoSuchKey", "AccessDenied"):
                raise NoVerdict(f"there is no s3://{self._buckets.quality}/{key}") from error
            raise
        return Verdict.from_json(body, object_id, run)

    # -- visible -----------------------------------------------------------------------------------------------------

    def _commit(self, item: ObjectItem, released: Released | None = None) -> Published:
        """Files first, then what former runs left; only then the event and the record, as transform does it.

        From the first file to the record no newer run begins: silver would hold some files of each.
        """
        run, (outputs, staged) = int(item["run"]), self._outputs(item)
        if not self._staged.begin_publishing(item["object_id"], run, State(item["state"])):
            raise NotStaged(f"run {run} of {item['object_id']} is not to be published any more, or already is")
        silver = RunFiles(self._s3, self._buckets.silver, run)
        _each(lambda output: silver.copy(self._staged_file(run, output["key"]), output["key"]), staged)
        self._delete_leftovers(item, outputs, silver)
        new = self._end.commit(item, outputs, State(item["state"]), released)
        self._delete_staged(run, staged)
        return Published(str(State.COMMITTED), new, int(item["rows_silver"]))

    def _outputs(self, item: ObjectItem) -> tuple[list[Output], list[Output]]:
        """The files of a run, and those of them that were staged.

        Raises:
            NotStaged: a newer run has begun meanwhile; tried again, this one is left alone.
        """
        found = list(outputs_of(self._ledger, item))
        return [output for output, _ in found], [output for output, staged in found if staged]

    def _staged_file(self, run: int, key: str) -> dict[str, str]:
        return {"Bucket": self._buckets.staging, "Key": staged_key(run, key)}

    def _delete_leftovers(self, item: ObjectItem, outputs: Iterable[Output], silver: RunFiles) -> None:
        """Deletes from silver what runs that were not published have replaced, and then the lists of it.

        A run lists the files of the run before it that it does not have, so the lists of all runs since the last
        published one, without this run's own files, are what silver has too much.
        """
        if int(item["run"]) == 1:
            return
        left: set[str] = set()
        lists = list(self._lists(leftovers_prefix(item["object_id"]), int(item["run"])))
        for key in lists:
            left |= set(json.loads(self._s3.get_object(Bucket=self._buckets.staging, Key=key)["Body"].read()))
        _each(silver.delete, sorted(left - {output["key"] for output in outputs}))
        _each(lambda key: self._s3.delete_object(Bucket=self._buckets.staging, Key=key), lists)

    def _lists(self, prefix: str, run: int) -> Iterable[str]:
        """Of this run and those before it; a newer run may have begun."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._buckets.staging, Prefix=prefix)
        for page in pages:
            for entry in page.get("Contents", []):
                if int(entry["Key"].removeprefix(prefix).split("-")[0]) <= run:
                    yield entry["Key"]

    def _delete_staged(self, run: int, outputs: Iterable[Output]) -> None:
        _each(
            lambda output: self._s3.delete_object(Bucket=self._buckets.staging, Key=staged_key(run, output["key"])),
            outputs,
        )

    # -- not visible -------------------------------------------------------------------------------------------------

    def _withhold(self, item: ObjectItem, verdict: Verdict) -> Published:
        object_id, run = item["object_id"], int(item["run"])
        hard = [one for one in verdict.broken if one.hard]
        more = f" and {len(hard) - _NAMED} more" if len(hard) > _NAMED else ""
        reason = f"{'; '.join(map(str, hard[:_NAMED]))}{more}"
        new = self._staged.withhold(object_id, run, CODE_WITHHELD, reason)
        if new or (item["state"] == State.WITHHELD and item.get("notice_due")):
            notify_withheld(self._notices, item, verdict.broken, reason)
            self._ledger.note_noticed(object_id, State.WITHHELD, CODE_WITHHELD)
        return Published(str(State.WITHHELD), new, int(item["rows_silver"]))

    def _note_unaudited(self, item: ObjectItem, error: str) -> Published:
        if item["state"] == State.STAGED:
            object_id, run = item["object_id"], int(item["run"])
            if self._staged.note_unaudited(object_id, run, CODE_FAILED, error) or item.get("notice_due"):
                notify_failed(self._notices, item, error)
                self._ledger.note_noticed(object_id, State.STAGED, CODE_FAILED)
        return Published(str(item["state"]))


_BEFORE: Final = frozenset({State.PLANNED, State.COMMITTING, State.FAILED, State.MISSING})


def _each[T](work: Callable[[T], object], items: Iterable[T]) -> None:
    """One after another while they are few, at the same time when they are many; the first error ends it."""
    todo = list(items)
    if len(todo) <= _FEW:
        for one in todo:
            work(one)
        return
    with ThreadPoolExecutor(_WORKERS) as pool:
        for _ in pool.map(work, todo):
            pass
