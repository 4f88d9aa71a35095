"""Every module has a README with its inputs, outputs and an example that fits it."""

import re
from pathlib import Path

import pytest

from tests.infra.module_docs import MODULES, example, readme, variables


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_readme_lists_every_input_and_output(module: Path) -> None:
    text = (module / "README.md").read_text()
    assert text == readme(module), "run `python -m tests.infra.module_docs`"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_example_sets_what_is_required_and_nothing_unknown(module: Path) -> None:
    given = set(re.findall(r"^  (\w+) += ", example(module), re.MULTILINE)) - {"source", "count", "for_each"}
    known = variables(module)
    assert given <= {one.name for one in known}
    assert {one.name for one in known if not one.default} <= given
