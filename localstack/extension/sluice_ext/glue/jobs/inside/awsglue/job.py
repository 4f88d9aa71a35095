"""``Job``: init and commit, which set the job's bookmark.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-pyspark-extensions-job.html
"""

from collections.abc import Mapping
from typing import Any

from awsglue import bookmarks


class Job:
    """One in a script."""

    def __init__(self, glue_context: Any) -> None:
        self._context, self._begun = glue_context, False

    def init(self, job_name: str, args: Mapping[str, Any] | None = None) -> None:
        """Begin; with a bookmark, reads with a transformation context get new files only."""
        option = str((args or {}).get("job_bookmark_option") or "job-bookmark-disable")
        bookmarks.STATE.begin(option == "job-bookmark-enable")
        self._begun = True

    def isInitialized(self) -> bool:  # noqa: N802 - AWS's name
        """Whether `init` was called."""
        return self._begun

    def commit(self) -> None:
        """The next run begins after what this one has read."""
        if not self._begun:
            raise RuntimeError("Job.commit before Job.init")
        bookmarks.STATE.commit()
