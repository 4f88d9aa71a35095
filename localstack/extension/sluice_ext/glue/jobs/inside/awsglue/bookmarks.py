"""Job bookmarks: which files of S3 the committed runs of a job have seen, by transformation context.

A file that was written again counts as new. https://docs.aws.amazon.com/glue/latest/dg/monitor-continuations.html
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import boto3


class State:
    """Of this run. ``enabled`` is set by ``Job.init``."""

    def __init__(self) -> None:
        self.enabled = False
        self._folder = Path(os.environ.get("GLUE_RUN_FOLDER", "."))
        self._seen: dict[str, dict[str, str]] = {}
        self._now: dict[str, dict[str, str]] = {}

    def begin(self, enabled: bool) -> None:
        """What earlier runs have seen."""
        self.enabled = enabled
        if enabled:
            self._seen = json.loads((self._folder / "bookmark.json").read_text())
            self._now = {}

    def unseen(self, context: str, paths: Sequence[str]) -> list[str]:
        """URIs of the files below these paths that are new for this context; they count as seen once it commits."""
        found = {uri: tag for path in paths for uri, tag in _files(path)}
        before = self._seen.get(context, {})
        new = {uri: tag for uri, tag in found.items() if before.get(uri) != tag}
        self._now.setdefault(context, {}).update(new)
        return sorted(new)

    def commit(self) -> None:
        """Tell the engine what has been seen, all or nothing."""
        if not self.enabled:
            return
        for context, files in self._now.items():
            self._seen.setdefault(context, {}).update(files)
        part = self._folder / "committed.part"
        part.write_text(json.dumps(self._seen))
        part.rename(self._folder / "committed.json")


def _files(path: str) -> list[tuple[str, str]]:
    """(URI, ETag) of the files of data below a path."""
    bucket, _, prefix = path.partition("://")[2].partition("/")
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = []
    for one in (one for page in pages for one in page.get("Contents", [])):
        key = one["Key"]
        below = key[len(prefix) :].lstrip("/") or key.rsplit("/", 1)[-1]
        inside = not prefix or prefix.endswith("/") or key == prefix or key.startswith(prefix + "/")
        hidden = any(part.startswith(("_", ".")) for part in below.split("/"))
        if inside and one["Size"] and not hidden:
            found.append((f"s3://{bucket}/{key}", one["ETag"]))
    return found


STATE = State()
