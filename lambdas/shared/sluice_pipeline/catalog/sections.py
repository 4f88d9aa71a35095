"""Sections of a dataset's YAML. Each branch defines its own in its schema.py; the core knows none of them.

A function that uses a section imports its branch's schema module and asks ``Section.of``. The build, the host tool
and the JSON Schema find the schema modules of all branches with ``discover_sections``.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sluice_pipeline.catalog.datasets import Catalog, Dataset

LAMBDAS: Final = Path(__file__).parents[3]  # of the source tree; a function never looks for sections
_SHARED: Final = "shared"
_MODULE: Final = "schema.py"


@dataclass(frozen=True, slots=True)
class Section[T]:
    """A branch's section. ``json_schema`` is the part of the dataset's JSON Schema that describes it.

    ``parse`` reads what the YAML holds and checks it against the dataset; raises InvalidSetting.
    ``check`` compares the sections of all datasets; raises InvalidSetting with the dataset.
    ``summaries`` names the dataset of the summaries that a file may hold, empty for none.
    """

    name: str
    parse: Callable[[Any, Dataset], T]
    json_schema: Mapping[str, Any]
    check: Callable[[Mapping[str, T], Catalog], None] | None = None
    summaries: Callable[[T], str] | None = None

    def of(self, dataset: Dataset) -> T | None:
        """What the dataset's section says, None when the dataset has none. Raises InvalidSetting."""
        return self.parse(dataset.sections[self.name], dataset) if self.name in dataset.sections else None

    def all(self, catalog: Catalog) -> dict[str, T]:
        """The sections of all datasets that have one, by the dataset's name. Raises InvalidSetting."""
        found = {name: self.of(dataset) for name, dataset in catalog.datasets.items()}
        return {name: section for name, section in found.items() if section is not None}


_registered: dict[str, Section[Any]] = {}


def register[T](section: Section[T]) -> Section[T]:
    """Adds a branch's section to those that a dataset may have.

    Raises:
        ValueError: another branch has a section of this name.
    """
    if section.name in _registered:
        raise ValueError(f"two branches have a section {section.name!r}")
    _registered[section.name] = section
    return section


def discover_sections(lambdas: Path = LAMBDAS) -> dict[str, Section[Any]]:
    """The sections of all branches by name: imports every schema.py below ``lambdas``."""
    for path in sorted(lambdas.rglob(_MODULE)):
        parts = path.relative_to(lambdas).with_suffix("").parts
        if parts[0] != _SHARED:
            importlib.import_module(".".join(parts))
    return dict(sorted(_registered.items()))
