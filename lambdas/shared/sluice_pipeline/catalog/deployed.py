"""The deployed datasets: one versioned S3 object, which every function reads.

``current`` is what is in service now; a run of an object is pinned to the version that was current when it began, and
its chunks read exactly that one. Versions never change, so each is read once for each execution environment.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from botocore.exceptions import ClientError

from sluice_pipeline.catalog.datasets import Catalog
from sluice_pipeline.catalog.document import DatasetsUnreadable, parse_deployed
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.runtime.clients import client

_KEPT: Final = 8  # versions in memory: those of the runs that are under way
_NOT_MODIFIED: Final = 304


class DatasetsUnavailable(RuntimeError):
    """The object is not there or must not be read. A deployment repairs that, so the error is transient."""


@dataclass(frozen=True, slots=True)
class Rules:
    """A catalog and its version."""

    catalog: Catalog
    version: RulesVersion


class DeployedDatasets:
    def __init__(self, s3: Any, bucket: str, key: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._key = key
        self._etag = ""
        self._current: Rules | None = None
        self._versions: dict[str, Catalog] = {}  # by sha256, the oldest first

    def current(self) -> Rules:
        """The datasets that are in service now: one conditional request, which is answered without a body mostly.

        Raises:
            DatasetsUnavailable, DatasetsUnreadable: as they say; never an empty catalog.
        """
        condition = {"IfNoneMatch": self._etag} if self._current else {}
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._key, **condition)
        except ClientError as error:
            # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
            if self._current and error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == _NOT_MODIFIED:
                return self._current
            raise self._unavailable(error) from error
        body = answer["Body"].read()
        version = RulesVersion(hashlib.sha256(body).hexdigest(), str(answer.get("VersionId") or ""))
        self._current = Rules(self._kept(version.sha256, body), version)
        self._etag = answer["ETag"]
        return self._current

    def read(self, version: RulesVersion | None) -> Catalog:
        """The datasets of a version; those in service for None, which messages of earlier releases have.

        Raises:
            DatasetsUnavailable, DatasetsUnreadable: as they say.
        """
        if version is None:
            return self.current().catalog
        known = self._versions.get(version.sha256)
        if known is not None:
            return known
        options = {"VersionId": version.version_id} if version.version_id else {}
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._key, **options)
        except ClientError as error:
            raise self._unavailable(error, version) from error
        body = answer["Body"].read()
        if (found := hashlib.sha256(body).hexdigest()) != version.sha256:
            raise DatasetsUnreadable(f"{self._uri} {version}: has the content {found}")
        return self._kept(version.sha256, body)

    def _kept(self, sha256: str, body: bytes) -> Catalog:
        if sha256 not in self._versions:
            try:
                catalog = parse_deployed(body)
            except DatasetsUnreadable as error:
                raise DatasetsUnreadable(f"{self._uri}: {error}") from error
            while len(self._versions) >= _KEPT:
                del self._versions[next(iter(self._versions))]
            self._versions[sha256] = catalog
        return self._versions[sha256]

    @property
    def _uri(self) -> str:
        return f"s3://{self._bucket}/{self._key}"

    def _unavailable(self, error: ClientError, version: RulesVersion | None = None) -> DatasetsUnavailable:
        code = error.response.get("Error", {}).get("Code", "unknown")
        which = f" version {version.version_id}" if version else ""
        # A role without s3:ListBucket is answered 403 for what is not there.
        return DatasetsUnavailable(f"the datasets cannot be read, {code}: {self._uri}{which}; deploy them again")


@cache
def deployed() -> DeployedDatasets:
    """The datasets that this function's settings name."""
    return DeployedDatasets(client("s3"), os.environ["DATASETS_BUCKET"], os.environ["DATASETS_KEY"])


def load_catalog() -> Catalog:
    """The datasets that are in service now. Raises what ``DeployedDatasets.current`` does."""
    return deployed().current().catalog


class OfCurrent[T]:
    """What a function makes of the catalog: made once for each version that comes into service."""

    def __init__(self, make: Callable[[Catalog], T]) -> None:
        self._make = make
        self._made: tuple[Catalog, T] | None = None

    def __call__(self) -> T:
        """Asks S3 for the version in service; raises what ``load_catalog`` does."""
        catalog = load_catalog()
        if self._made is None or self._made[0] is not catalog:
            self._made = catalog, self._make(catalog)
        return self._made[1]
