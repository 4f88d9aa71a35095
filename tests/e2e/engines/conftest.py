"""One stack in a checkout of its own for the suites here that change code and datasets: a deployment costs a minute."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from sluice import build
from sluice.paths import BUILD_DIR
from tests.support.checkouts import copy_of
from tests.support.core_stack import CoreStack


@pytest.fixture(scope="package")
def core_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoreStack]:
    """A copy with an engine and a stack; what is built already is copied, too. Each test puts back what it changes."""
    build.build()
    made = CoreStack(copy_of(tmp_path_factory.mktemp("core"), "cache"))
    shutil.copytree(BUILD_DIR, made.root / ".sluice/build")
    try:
        made.checkout.up()
        made.deploy()
        yield made
    finally:
        made.checkout.sluice("down", "--quiet")
