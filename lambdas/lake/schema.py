"""The section ``lake`` of a dataset: which rows its compacted files hold."""

from dataclasses import dataclass
from typing import Any, Final

from sluice_pipeline.catalog.datasets import Dataset
from sluice_pipeline.catalog.errors import InvalidSetting
from sluice_pipeline.catalog.sections import Section, register


@dataclass(frozen=True, slots=True)
class LakeRules:
    """``latest``: of each date the newest version of each key only (sluice_pipeline/catalog/current.py)."""

    latest: bool = False


def _parse(raw: Any, dataset: Dataset) -> LakeRules:
    if not isinstance(raw, dict):
        raise InvalidSetting("", "is not a mapping")
    if unknown := sorted(set(map(str, raw)) - {"latest"}):
        raise InvalidSetting(unknown[0], "is no setting of it: there is latest")
    latest = raw.get("latest", False)
    if not isinstance(latest, bool):
        raise InvalidSetting("latest", f"is true or false, not {latest!r}")
    if latest and not dataset.key:
        raise InvalidSetting("latest", "needs the dataset's key, of which it finds the newest row")
    return LakeRules(latest)


LAKE: Final = register(
    Section(
        name="lake",
        parse=_parse,
        json_schema={
            "type": "object",
            "description": "How the lake stores the dataset.",
            "additionalProperties": False,
            "properties": {
                "latest": {
                    "type": "boolean",
                    "default": False,
                    "description": "Compacted files hold, of each date, the newest row of each key only. Rows of one "
                    "key that have several dates stay, one a date.",
                }
            },
        },
    )
)
