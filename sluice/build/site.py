"""The documentation's site: the pages of the checkout as HTML, in their folders, built strictly.

A page, a heading or a file that a link names and that is not there fails the build.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sluice.console import fail
from sluice.paths import ROOT, SLUICE_DIR

DIR = SLUICE_DIR / "site"
PATTERNS = ("*.md", "docs/*.md", "examples/**/*.md")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
SETTINGS = """[project]
site_name = "Sluice"
site_description = "Serverless ELT on AWS that you can run, break and prove on a laptop"
docs_dir = "pages"
site_dir = "html"

[project.theme]
font = false
features = ["navigation.indexes", "content.code.copy", "search.highlight"]
"""
"""https://zensical.org/docs/setup/basics/. No font is loaded from elsewhere."""


def pages(root: Path) -> list[Path]:
    """The pages of a checkout, relative to it."""
    return sorted({path.relative_to(root) for pattern in PATTERNS for path in root.glob(pattern)})


def linked(root: Path, page: Path) -> Iterator[Path]:
    """Files of the checkout that a page links to, relative to it; what is not there is the builder's to report."""
    for target in _LINK.findall((root / page).read_text()):
        file = (root / page).parent.joinpath(target).resolve()
        if file.is_file() and file.is_relative_to(root.resolve()):
            yield file.relative_to(root.resolve())


def gather(root: Path, folder: Path) -> int:
    """Copies pages and what they link to into a new folder ``pages``, beside the settings. Returns how many pages."""
    shutil.rmtree(folder, ignore_errors=True)
    found = pages(root)
    wanted = {*found, *(file for page in found for file in linked(root, page))}
    for name in sorted(wanted):
        copy = folder / "pages" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, copy)
    (folder / "zensical.toml").write_text(SETTINGS)
    return len(found)


def build(program: Path, root: Path = ROOT, folder: Path = DIR) -> tuple[Path, int]:
    """Builds the site with the program; returns its first page, and how many pages it has.

    Raises SluiceError, with what the program printed, when a link leads nowhere or the program cannot run.
    """
    count = gather(root, folder)
    command = [str(program), "build", "--clean", "--strict"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        fail(f"the site cannot be built: {error}", 1)
    if done.returncode:
        said = re.sub(r"\x1b\[[0-9;]*m", "", f"{done.stdout}{done.stderr}").partition("Traceback")[0].strip()
        fail(f"the site is not built:\n{said}", 1)
    return folder / "html/index.html", count
