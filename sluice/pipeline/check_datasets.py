"""Every dataset of the checkout: its YAML, and the fixtures that its rules must judge as they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.paths import DATASETS_DIR
from sluice.pipeline.check import Checked, check_object

if TYPE_CHECKING:
    from fixtures.samples import Sample
    from sluice_pipeline.catalog.datasets import Catalog


@dataclass(frozen=True)
class Judged:
    """A YAML file, or a fixture: what it is, and what is wrong with it (nothing: empty)."""

    dataset: str
    what: str
    rows: int | None = None
    fault: str = ""


def check_yaml(folder: Path = DATASETS_DIR) -> list[Judged]:
    """Every YAML file by the JSON Schema, one by one; then all together, as the build does."""
    import yaml
    from jsonschema import Draft202012Validator

    from sluice_pipeline.catalog.compiler import compile_catalog
    from sluice_pipeline.catalog.dataset_schema import json_schema
    from sluice_pipeline.catalog.errors import CatalogError

    validator = Draft202012Validator(json_schema())
    found: dict[str, list[str]] = {path.name: [] for path in sorted(folder.glob("*.y*ml"))}
    for name, faults in found.items():
        try:
            content = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            faults.append(f"not YAML: {' '.join(str(error).split())}")
            continue
        faults += [
            f"{'.'.join(map(str, error.absolute_path)) or '(whole file)'}: {error.message}"
            for error in validator.iter_errors(content)
        ]
    try:
        compile_catalog(folder)
    except CatalogError as error:
        faults = found.setdefault(error.file, [])
        if not faults:
            faults.append(f"{error.field}: {error.reason}")
    return [Judged(Path(name).stem, name, fault="; ".join(faults)) for name, faults in found.items()]


def check_samples(catalog: Catalog) -> Iterator[Judged]:
    """Every fixture of a dataset that is in the catalog: its rows must become what the fixture says."""
    from fixtures.samples import samples

    for sample in samples():
        if not catalog.knows(sample.dataset):
            continue
        body = sample.body()
        found = check_object(sample.name, len(body), _reader(body), sample.dataset, catalog)
        yield Judged(sample.dataset, sample.name, found.rows_in, _difference(sample, found))


def _difference(sample: Sample, found: Checked) -> str:
    """How what became of a fixture differs from what it says, empty when it does not."""
    if found.failed != sample.failed:
        ends = f"fails, {found.failed}: {found.detail}" if found.failed else "is committed"
        return f"the object {ends}; expected: {sample.failed or 'committed'}"
    if found.failed or (found.rows_silver, found.rows_rejected) == (sample.rows_silver, sample.rows_rejected):
        return ""
    reasons = ", ".join(f"{name or '(row)'} {reason}" for _, name, reason in list(found.reasons)[:3])
    return (
        f"{found.rows_silver} rows to silver and {found.rows_rejected} rejected ({reasons or 'no reason'}), "
        f"expected {sample.rows_silver} and {sample.rows_rejected}"
    )


def _reader(body: bytes) -> Callable[[int, int], bytes]:
    return lambda start, end: body[start:end]
