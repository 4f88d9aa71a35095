"""Which objects a pass judges: those whose event is not on its way any more, and that no pass has judged before.

S3 dates a multipart upload by when it began, so one that took days is older than a pass that could not see it:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.reconcile.listed import Listed
from sluice_pipeline.runtime.clock import written

OVERLAP: Final = timedelta(days=2)  # of a pass with the one before it: uploads that took long, lists that lag behind
_RUN: Final = timedelta(hours=1)  # for which entries of the ledger must not expire: longer than a run


@dataclass(frozen=True, slots=True)
class Settings:
    """``margin``: for which an event may be on its way. ``longest_upload``: after it, S3 aborts a multipart upload.

    ``retention``: after which the ledger may have forgotten an object that has ended; None: never.
    """

    margin: timedelta
    longest_upload: timedelta
    retention: timedelta | None

    def until(self, moment: datetime) -> datetime:
        """The end of the window of a list of that moment."""
        return moment - self.margin


@dataclass(frozen=True, slots=True)
class Window:
    """Objects modified in [since, until), multipart uploads in [since_multipart, until)."""

    since: str
    since_multipart: str
    until: str

    def holds(self, one: Listed) -> bool:
        return (self.since_multipart if one.is_multipart else self.since) <= one.modified < self.until


def window(moment: datetime, done_until: datetime | None, settings: Settings, now: datetime) -> Window:
    """What a run at ``now`` judges of a list of that moment; ``done_until``: the end of the last whole pass's window.

    An entry of the ledger ends later than its object begins, so one of an object that is younger than the retention
    cannot have expired.
    """
    forgotten = now + _RUN - settings.retention if settings.retention else None

    def since(overlap: timedelta) -> str:
        bounds = [bound for bound in (done_until and done_until - overlap, forgotten) if bound]
        return written(max(bounds)) if bounds else ""

    return Window(since(OVERLAP), since(OVERLAP + settings.longest_upload), written(settings.until(moment)))
