"""The build's half of the catalog: a folder of YAML files, checked with the sections of all branches, becomes JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluice_pipeline.catalog.datasets import (
    DATASET_SETTINGS,
    FIELD_ORDER,
    SUMMARIES,
    Catalog,
    Dataset,
    parse_catalog,
    parse_dataset,
)
from sluice_pipeline.catalog.errors import CatalogError, InvalidSetting
from sluice_pipeline.catalog.field_checks import whole_text
from sluice_pipeline.catalog.fields import refuse_unknown
from sluice_pipeline.catalog.sections import Section, discover_sections


def compile_catalog(folder: Path) -> dict[str, Any]:
    """Reads and checks every YAML file of a folder; the result is the ``datasets`` of ``datasets.json``.

    Raises:
        CatalogError: a file is not YAML, has no or unknown fields, contradicts itself, or two files claim one
            dataset or record type.
    """
    sections = discover_sections()
    compiled: dict[str, Any] = {}
    for path in sorted(folder.glob("*.y*ml")):
        raw = _read(path)
        if isinstance(raw, dict):
            refuse_unknown(raw, DATASET_SETTINGS | sections.keys(), path.name)
        dataset = parse_dataset(raw, path.name)
        _check_patterns(dataset, path.name)
        summaries = _parse_sections(dataset, sections, path.name)
        if dataset.name != path.stem:
            raise CatalogError(path.name, "dataset", f"is {dataset.name!r}; a file is named after its dataset")
        order = {FIELD_ORDER: [column.name for column in dataset.fields]}  # JSON sorts the members of an object
        compiled[dataset.name] = raw | order | ({SUMMARIES: summaries} if summaries else {})
    if not compiled:
        raise CatalogError(str(folder.name), "(folder)", "holds no dataset (*.yaml)")
    catalog = parse_catalog(compiled)
    for section in sections.values():
        _check_together(section, catalog)
    # JSON has no dates and the like: what YAML made of an unquoted date would differ from what the function reads
    return {name: json.loads(json.dumps(raw, default=str)) for name, raw in compiled.items()}


def _read(path: Path) -> Any:
    import yaml  # only the build has it

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CatalogError(path.name, "(whole file)", f"not YAML: {' '.join(str(error).split())}") from error


def _parse_sections(dataset: Dataset, sections: Mapping[str, Section[Any]], file: str) -> str:
    """Checks the dataset's sections; the dataset of its files' summaries, empty for none."""
    summaries = ""
    for section in sections.values():
        try:
            parsed = section.of(dataset)
        except InvalidSetting as invalid:
            raise invalid.in_section(file, section.name) from invalid
        if parsed is not None and section.summaries:
            summaries = section.summaries(parsed) or summaries
    return summaries


def _check_patterns(dataset: Dataset, file: str) -> None:
    """Raises CatalogError for a pattern that is none for the engine that matches it, alone or as the whole text's."""
    for field in dataset.fields:
        if pattern := field.checks.pattern:
            import pyarrow as pa  # only the build and transform have it
            import pyarrow.compute as pc

            try:
                for expression in (pattern, whole_text(pattern)):
                    pc.match_substring_regex(pa.array([""]), expression)
            except pa.ArrowInvalid as error:
                raise CatalogError(file, f"fields.{field.name}.pattern", f"{error}; RE2 is the dialect") from error


def _check_together(section: Section[Any], catalog: Catalog) -> None:
    if section.check is None:
        return
    try:
        section.check(section.all(catalog), catalog)
    except InvalidSetting as invalid:
        raise invalid.in_section(f"{invalid.dataset}.yaml", section.name) from invalid
