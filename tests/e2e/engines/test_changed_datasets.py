"""A changed YAML through the tool: `sluice deploy` puts it into service as one change; a plan after it is empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.core_stack import STACK, CoreStack, counts, new_file

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("embedded_only")]


@pytest.mark.thorough(
    "tests/e2e/engines/test_dev.py::test_saved_code_and_datasets_are_served_and_the_plan_is_empty",
    "tests/e2e/engines/test_kept_state.py::test_the_plan_is_empty_after_down_and_up_and_after_a_snapshot_is_loaded",
    why="both deploy a changed YAML with the tool, as one change, and count rows by the new rule",
)
def test_a_changed_yaml_is_one_change_in_service_and_back_again(core_stack: CoreStack, tmp_path: Path) -> None:
    yaml = core_stack.root / "datasets/shipments.yaml"
    before = yaml.read_text()
    first = core_stack.put(new_file(tmp_path), "s1")
    assert counts(first) == (1, 0)

    yaml.write_text(before.replace("min: 0, max: 200", "min: 0, max: 100"))
    assert yaml.read_text() != before
    done = core_stack.deploy()
    assert (done["added"], done["changed"], done["removed"]) == (0, 1, 0)
    second = core_stack.put(new_file(tmp_path), "s2")
    assert counts(second) == (0, 1)
    assert second["rules"] != first["rules"]

    yaml.write_text(before.replace("partition_by: event_time", "partition_by: nothing"))
    said = core_stack.run("deploy", *STACK, code=2)
    assert "datasets/shipments.yaml: partition_by: names no field: 'nothing'" in said
    assert said.count("\n") == 1

    yaml.write_text(before)
    assert counts(core_stack.put(new_file(tmp_path), "s3")) == (0, 1), "the rules that are in service"
    done = core_stack.deploy()
    assert (done["added"], done["changed"], done["removed"]) == (0, 1, 0)
    last = core_stack.put(new_file(tmp_path), "s4")
    assert counts(last) == (1, 0)
    assert last["rules"]["sha256"] == first["rules"]["sha256"]
    core_stack.no_change_is_planned()
