"""The documentation's site: which pages it has, and what fails it. `make docs` builds it (in CI, too)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.build import site
from sluice.console import SluiceError
from sluice.paths import ROOT


def program(folder: Path, script: str) -> Path:
    file = folder / "zensical"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_every_page_is_in_the_site_with_the_files_that_it_links_to(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    (folder / "pages").mkdir(parents=True)
    (folder / "pages/old.md").write_text("of a former build")
    count = site.gather(ROOT, folder)
    copied = {path.relative_to(folder / "pages") for path in (folder / "pages").rglob("*") if path.is_file()}
    assert {path for path in copied if path.suffix == ".md"} == set(site.pages(ROOT))
    assert count == len(site.pages(ROOT)) > 30
    assert Path(".env.example") in copied
    assert (folder / "pages/docs/engine.md").read_text() == (ROOT / "docs/engine.md").read_text()


def test_a_link_out_of_the_checkout_copies_nothing(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    root.mkdir()
    (tmp_path / "secret").write_text("x")
    (root / "README.md").write_text("[a](../secret) [b](gone.md) [c](https://x.example/y) [d](own.txt#z)")
    (root / "own.txt").write_text("y")
    assert list(site.linked(root, Path("README.md"))) == [Path("own.txt")]


def test_what_the_builder_reports_is_the_error(tmp_path: Path) -> None:
    broken = program(tmp_path, "printf '\\033[33mpage does not exist\\033[0m'; echo Traceback >&2; exit 1")
    with pytest.raises(SluiceError, match="^the site is not built:\npage does not exist$"):
        site.build(broken, ROOT, tmp_path / "site")
    with pytest.raises(SluiceError, match="cannot be built"):
        site.build(tmp_path / "none", ROOT, tmp_path / "site")


def test_the_builder_is_asked_to_be_strict(tmp_path: Path) -> None:
    found, _ = site.build(program(tmp_path, 'test "$*" = "build --clean --strict"'), ROOT, tmp_path / "site")
    assert found == tmp_path / "site/html/index.html"
