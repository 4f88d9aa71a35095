"""Objects that are no data."""

import re
from pathlib import Path

import pytest

from sluice.paths import ROOT
from sluice_pipeline.objects.passed_over import PassedOver


def defaults() -> list[str]:
    """The patterns of the stack."""
    text = Path(ROOT, "infra", "stack", "variables.tf").read_text()
    block = text.split('variable "passed_over_keys"')[1].split("  validation {")[0]
    return re.findall(r'^    "([^"]+)",', block, re.MULTILINE)


@pytest.mark.parametrize(
    ("key", "size", "pattern"),
    [
        ("bronze/shipments/", 0, "*/"),
        ("bronze/shipments/2026/", 0, "*/"),
        ("bronze/shipments/2026/", 10, None),  # an object with content, whatever its name
        ("bronze/shipments/_SUCCESS", 0, "*/_SUCCESS"),
        ("bronze/shipments/x_SUCCESS", 0, None),
        ("bronze/shipments/_success", 0, None),
        ("bronze/shipments_$folder$", 0, "*_$folder$"),
        ("bronze/shipments/a_$folder$", 3, "*_$folder$"),
        ("bronze/shipments/_temporary/0/part-0.jsonl", 99, "*/_temporary/*"),
        ("bronze/shipments/.part-0.jsonl.crc", 12, "*/.*.crc"),
        ("bronze/shipments/.DS_Store", 6148, "*/.DS_Store"),
        ("bronze/shipments/._a.jsonl", 4096, "*/._*"),
        ("bronze/shipments/empty.jsonl", 0, None),
        ("bronze/shipments/a\nb/_SUCCESS", 0, "*/_SUCCESS"),
    ],
)
def test_markers_and_working_files_are_passed_over(key: str, size: int, pattern: str | None) -> None:
    assert PassedOver(defaults()).by(key, size) == pattern


def test_without_patterns_everything_is_ingested() -> None:
    assert PassedOver([]).by("bronze/shipments/_SUCCESS", 0) is None
