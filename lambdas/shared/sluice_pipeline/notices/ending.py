"""The end of a run whose rows are all in silver: announced, recorded, and noticed when too many rows were rejected."""

from sluice_pipeline.events.announcements import Announcements
from sluice_pipeline.ledger.items import ObjectItem, Output, Released, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.notices.notices import Notices


class RunEnd:
    """``quarantine_ratio``: of a run's rows, 0 to 1, above which its rejected rows are worth a notice."""

    def __init__(self, ledger: Ledger, announcements: Announcements, notices: Notices, quarantine_ratio: float) -> None:
        self._ledger = ledger
        self._announcements = announcements
        self._notices = notices
        self._quarantine_ratio = quarantine_ratio

    def commit(
        self,
        item: ObjectItem,
        outputs: list[Output],
        former: State = State.COMMITTING,
        released: Released | None = None,
    ) -> bool:
        """Safe to repeat after a crash at any point; True for the delivery that ended the run.

        ``former`` and ``released`` as in Ledger.commit.
        """
        self._announcements.committed(item, outputs)
        # Only one delivery ends the run, and only it sends the notice: at most one, even if it dies here.
        ended = self._ledger.commit(item["object_id"], int(item["run"]), former, released)
        if ended and self._rejected_too_many(item):
            self._notices.quarantine_over_threshold(item, self._quarantine_ratio)
        return ended

    def _rejected_too_many(self, item: ObjectItem) -> bool:
        return int(item["rows_quarantined"]) > self._quarantine_ratio * int(item["rows_in"])
