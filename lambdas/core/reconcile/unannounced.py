"""Which of the objects that a list shows the ledger does not know."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from core.reconcile.listed import Listed
from core.reconcile.window import Window
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.ledger.items import OBJECT_SK, State, object_pk
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.objects.passed_over import PassedOver
from sluice_pipeline.runtime.clock import written
from sluice_pipeline.runtime.errors import code_of

_THREADS: Final = 8
_GONE: Final = ("404", "NoSuchKey", "405", "MethodNotAllowed")  # HEAD has no body, and so no other code
_UNREADABLE: Final = "400"  # encrypted with a key of the sender's own (SSE-C)


@dataclass(frozen=True, slots=True)
class Unannounced:
    """An object of bronze, and whose rows it has: its own, or those of the object that a replay copied."""

    ref: ObjectRef
    origin: Origin


class Finder:
    """Looks objects up in the ledger; those that it does not know, once more in the bucket."""

    def __init__(self, s3: Any, bucket: str, ledger: Table, passed_over: PassedOver) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._ledger = ledger
        self._passed_over = passed_over

    def find(self, objects: Iterable[Listed], window: Window) -> list[Unannounced]:
        """The current versions that the ledger does not know, and whose events are not on their way.

        An object that the ledger calls missing is one of them when another version is there: its bytes were uploaded
        again, and nothing has said so.
        """
        judged = [one for one in objects if window.holds(one) and not self._passed_over.by(one.key, one.size)]
        ids = {self._origin(one).object_id: one for one in judged}
        known = self._read(ids)
        suspects = [one for name, one in ids.items() if _is_open(known.get(name))]
        with ThreadPoolExecutor(_THREADS) as threads:
            heads = list(threads.map(self._head, suspects))
        # What the list said may be a while ago: the object was deleted or replaced.
        current = [found for found in heads if found and found.ref.since < window.until]
        known |= self._read(name for found in current for name in _names(found) if name not in known)
        return [found for found in current if not any(_is_about(known.get(name), found.ref) for name in _names(found))]

    def _read(self, object_ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        keys = [(object_pk(name), OBJECT_SK) for name in dict.fromkeys(object_ids)]
        return {item["object_id"]: item for item in self._ledger.get_many(keys)}

    def _origin(self, one: Listed) -> Origin:
        return Origin(self._bucket, one.key, one.etag)

    def _head(self, one: Listed) -> Unannounced | None:
        """The object as it is now; as it was listed where S3 does not show it; None when it is gone."""
        try:
            head = self._s3.head_object(Bucket=self._bucket, Key=one.key)
        except ClientError as error:
            if code_of(error) in _GONE:
                return None
            if code_of(error) != _UNREADABLE:
                raise
            ref = ObjectRef(self._bucket, one.key, "", one.etag, one.size, one.modified)
            return Unannounced(ref, ref.as_origin())
        etag, modified = head["ETag"].strip('"'), written(head["LastModified"])
        ref = ObjectRef(self._bucket, one.key, head.get("VersionId", ""), etag, int(head["ContentLength"]), modified)
        return Unannounced(ref, Origin.from_metadata(head.get("Metadata", {})) or ref.as_origin())


def _names(found: Unannounced) -> Sequence[str]:
    """The ids under which the ledger may know it."""
    return list(dict.fromkeys((found.ref.as_origin().object_id, found.origin.object_id)))


def _is_open(item: Mapping[str, Any] | None) -> bool:
    """Whether the bucket has to be asked: the ledger does not know the object, or lacks its bytes."""
    return item is None or item.get("state") == State.MISSING


def _is_about(item: Mapping[str, Any] | None, ref: ObjectRef) -> bool:
    """Whether the ledger's item accounts for this version."""
    return not _is_open(item) or (item is not None and item["version_id"] == ref.version_id)
