"""Files that a run may write only while no newer run has.

A function that stood still may write or delete long after a replay has begun and ended. Each file says which run wrote
it, and S3 itself compares: it stores a file only where there is none, or in place of the one that was looked at.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from botocore.exceptions import ClientError

from sluice_pipeline.runtime.errors import code_of

RUN: Final = "run"
"""Name in the metadata of a file: the run that wrote it. Files of earlier releases have none and are older than all."""
_TRIES: Final = 5
_GONE: Final = frozenset({"404", "NoSuchKey", "NotFound"})
# Another worker was sooner, or is writing at this moment.
_LOST: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}) | _GONE


class Superseded(RuntimeError):
    """A newer run has written the file; this one's message comes again and clears what it left."""


class RunFiles:
    """The files of one run of an object in a bucket.

    ``again``: the run may have written some of them before; what is there as it is to be is not written again.
    """

    def __init__(self, s3: Any, bucket: str, run: int, *, again: bool = False) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._run = run
        self._looks = again or run > 1  # otherwise there is nothing to find

    def put(self, key: str, body: bytes) -> None:
        """Writes a file unless it is there, or a newer run has written it.

        Raises:
            Superseded: a newer run has, or others write the key all the time.
        """
        found = self._looked(key)
        # The ETag is the MD5 of what was put, but not with every encryption: then it differs, and the file is written.
        if found != (self._run, f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'):
            self._write(key, found, partial(self._s3.put_object, Body=body))

    def copy(self, source: Mapping[str, str], key: str) -> None:
        """The same with what another object holds; ``source`` is its Bucket and Key. Raises Superseded as put does."""
        self._write(
            key, self._looked(key), partial(self._s3.copy_object, CopySource=dict(source), MetadataDirective="REPLACE")
        )

    def _write(self, key: str, found: tuple[int, str] | None, call: Callable[..., Any]) -> None:
        for _ in range(_TRIES):
            if found and found[0] > self._run:
                raise Superseded(f"s3://{self._bucket}/{key} is of run {found[0]}, this is run {self._run}")
            condition = {"IfMatch": found[1]} if found else {"IfNoneMatch": "*"}
            try:
                call(Bucket=self._bucket, Key=key, Metadata={RUN: str(self._run)}, **condition)
            except ClientError as error:
                if code_of(error) not in _LOST:
                    raise
                found = self._found(key)
            else:
                return
        raise Superseded(f"s3://{self._bucket}/{key} was changed by others {_TRIES} times")

    def delete(self, key: str) -> None:
        """Deletes the file of this or an older run; one of a newer run stays."""
        self._delete(key, lambda run: run <= self._run)

    def delete_own(self, key: str) -> None:
        """Deletes the file if this very run wrote it."""
        self._delete(key, lambda run: run == self._run)

    def has(self, key: str) -> bool:
        """Whether the file is there and this very run wrote it."""
        found = self._found(key)
        return found is not None and found[0] == self._run

    def _delete(self, key: str, mine: Any) -> None:
        for _ in range(_TRIES):
            found = self._found(key)
            if found is None or not mine(found[0]):
                return
            try:
                self._s3.delete_object(Bucket=self._bucket, Key=key, IfMatch=found[1])
            except ClientError as error:
                if code_of(error) not in _LOST:
                    raise
            else:
                return
        raise Superseded(f"s3://{self._bucket}/{key} was changed by others {_TRIES} times")

    def _looked(self, key: str) -> tuple[int, str] | None:
        return self._found(key) if self._looks else None

    def _found(self, key: str) -> tuple[int, str] | None:
        """Run and ETag of the file that is there."""
        try:
            head = self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if code_of(error) in _GONE:
                return None
            raise
        run = head.get("Metadata", {}).get(RUN, "0")
        return (int(run) if run.isdecimal() else 0), head["ETag"]
