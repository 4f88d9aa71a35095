"""What load reads of an object.committed event that EventBridge put into its queue."""

import json
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from pipeline.notices import COMMITTED


class MalformedEvent(ValueError):
    """The body is no object.committed event; no retry can mend it."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A run of an object that has ended; which rows it has and where they lie is in the ledger."""

    object_id: str
    run: int
    dataset: str
    source_key: str

    @classmethod
    def from_json(cls, body: str) -> Self:
        """Raises MalformedEvent, which says what is wrong."""
        try:
            event = json.loads(body)
            if event["detail-type"] != COMMITTED:
                raise MalformedEvent(f"detail-type is {event['detail-type']!r}, not {COMMITTED}")
            detail = event["detail"]
            found = cls(detail["object_id"], detail["run"], detail["dataset"], detail["origin"]["key"])
            UUID(found.object_id)
        except MalformedEvent:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedEvent(f"no {COMMITTED} event: {type(error).__name__}: {error}") from error
        texts = isinstance(found.dataset, str) and isinstance(found.source_key, str)
        if not texts or not isinstance(found.run, int) or isinstance(found.run, bool) or found.run < 1:
            raise MalformedEvent("run, dataset or origin.key is of a wrong type")
        return found
