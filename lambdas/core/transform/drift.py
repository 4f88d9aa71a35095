"""What a chunk's rows have beside their dataset's YAML: recorded, counted, notified, and refused when it is frozen."""

from collections.abc import Mapping

from core.transform.unnamed import require_unfrozen
from sluice_pipeline.catalog.datasets import Catalog
from sluice_pipeline.catalog.sights import Sights
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.sights import SightLedger
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.runtime.telemetry import measure


class Drift:
    def __init__(self, ledger: SightLedger, notices: Notices) -> None:
        self._ledger = ledger
        self._notices = notices

    def settle(self, message: ChunkMessage, sights: Mapping[str, Sights], catalog: Catalog) -> None:
        """Records and notifies what was seen first in this chunk, before anything of it is written; safe to repeat.

        Raises:
            ObjectFailed: a dataset's columns are frozen, and a row has another.
        """
        for dataset, seen in sights.items():
            new, left_out = self._ledger.record(message.origin, message.chunk.index, dataset, seen)
            if new:
                measure(dataset, SchemaDrift=len(new))
                self._notices.schema_drift(
                    dataset, message.origin, new, str(catalog.datasets[dataset].contract.columns)
                )
                self._ledger.mark_notified(new)
            if left_out:
                measure(dataset, SchemaDriftLeftOut=left_out)
        require_unfrozen(sights, catalog)
