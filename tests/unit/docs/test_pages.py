"""What the pages promise: links lead somewhere, named files exist, lists and versions agree."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice import __version__

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")]
)
EDITED_FILES_LIMIT = 8
FOLDERS = "datasets|docs|examples|fixtures|infra|lambdas|localstack|requirements|sluice|tests"
# Made later, or by hand: named as the place where something will go.
NOT_YET = {"jobs/<branch>/"}


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def outside_of_blocks(page: str) -> str:
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def anchors(page: str) -> set[str]:
    """GitHub's ids of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", outside_of_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def section(page: str, heading: str) -> str:
    [found] = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text_of(page), re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", outside_of_blocks(page)):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(file.resolve().relative_to(ROOT).as_posix()), f"{page} links to {target}"


def paths(page: str) -> Iterator[str]:
    """Files and folders of the project that a page names, `like/this.py`; a <placeholder> or a * stands for any."""
    for name in re.findall(rf"`((?:{FOLDERS})/[\w./<>*{{}},-]*)`", outside_of_blocks(page)):
        if name not in NOT_YET:
            yield name


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    for name in paths(page):
        pattern = re.sub(r"<[^>]+>", "*", name).rstrip("/")
        found = list(ROOT.glob(pattern)) if "*" in pattern else [ROOT / pattern]
        assert any(path.exists() for path in found), f"{page} names {name}"


def test_every_page_is_on_the_map_or_in_the_readme() -> None:
    linked = {
        (ROOT / page).parent.joinpath(target.partition("#")[0]).resolve()
        for page in ("README.md", "docs/README.md")
        for target in re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", text_of(page))
    }
    assert {path.resolve() for path in ROOT.glob("docs/*.md")} <= linked


def test_a_new_branch_edits_at_most_eight_files_and_both_pages_list_them() -> None:
    listed = re.findall(r"^\d+\. `([^`]+)`:", section("docs/adding-a-branch.md", "Existing files that you edit"), re.M)
    assert 1 <= len(listed) <= EDITED_FILES_LIMIT
    assert [name for name in listed if not (ROOT / name).is_file()] == []
    table = section("ARCHITECTURE.md", "What a new branch edits").split("| new files |")[0]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.M) == listed


def test_the_version_is_written_once_and_has_a_section_in_the_changelog() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "sluice.__version__"}
    sections = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (unreleased|\d{4}-\d\d-\d\d)$", text_of("CHANGELOG.md"), re.M)
    assert sections[0][0] == __version__
    assert [date for _, date in sections[1:] if date == "unreleased"] == []


def test_every_decision_has_a_date_and_three_parts() -> None:
    records = re.split(r"^## ", text_of("docs/decisions.md"), flags=re.M)[1:]
    assert len(records) >= 74
    form = re.compile(
        r".+\n\n\*\d{4}-\d\d-\d\d\*\n\n- \*\*Context\*\*: .+\n- \*\*Decision\*\*: .+\n- \*\*Consequence\*\*: .+",
        re.DOTALL,
    )
    assert [record.splitlines()[0] for record in records if not form.fullmatch(record)] == []
    assert [record.splitlines()[0] for record in records if len(record.splitlines()) > 16] == []


def test_every_notice_of_a_branch_has_a_row_in_operations() -> None:
    """From the branches' Terraform; tests/e2e/core/test_documents.py asks a deployed stack."""
    kinds = {
        kind
        for file in ROOT.glob("infra/**/*.tf")
        for listed in re.findall(r"\bnotices\s*=\s*\[([^\]]*)\]", file.read_text())
        for kind in re.findall(r'"([a-z.]+)"', listed)
    }
    assert {"object.failed", "dead.letter", "control.totals"} <= kinds
    rows = set(
        re.findall(r"^\| `([a-z.]+)` \| (?:info|warning|error) \|", section("docs/operations.md", "Notices"), re.M)
    )
    assert rows == kinds
