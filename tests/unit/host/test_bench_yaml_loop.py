"""The YAML loop deploys one changed rule, looks whether it is in service, and puts back what was there."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest

from sluice.bench import stage, yaml_loop
from sluice.build.artifacts import compiled_datasets
from sluice.console import SluiceError
from sluice.paths import DATASETS_DIR


class Own:
    """A stage whose deployments put the compiled datasets into a bucket."""

    def __init__(self, *, broken: bool = False) -> None:
        self.stack: Any = self
        self.broken = broken
        self.deployed: list[bytes] = []

    def __getitem__(self, name: str) -> str:
        return name

    def client(self, service: str) -> Own:
        assert service == "s3"
        return self

    def get_object(self, **_: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(b"" if self.broken else self.deployed[-1])}

    def deploy(self, _stage: object, _report: object, *, datasets: Path = DATASETS_DIR) -> float:
        self.deployed.append(compiled_datasets(datasets))
        return 3.0


def test_a_changed_rule_is_another_catalog(tmp_path: Path) -> None:
    changed = tmp_path / "datasets"
    shutil.copytree(DATASETS_DIR, changed)
    yaml_loop.change_a_rule(changed)
    assert compiled_datasets(changed) != compiled_datasets(DATASETS_DIR)


@pytest.mark.parametrize("broken", [False, True])
def test_the_datasets_of_the_checkout_are_deployed_again(broken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Own(broken=broken)
    monkeypatch.setattr(stage, "deploy", own.deploy)
    if broken:
        with pytest.raises(SluiceError, match="has another content than was deployed"):
            yaml_loop.measure(own, lambda _: None)  # type: ignore[arg-type]
    else:
        found = yaml_loop.measure(own, lambda _: None)  # type: ignore[arg-type]
        assert found.seconds == 3.0
        assert found.processor_seconds >= 0
    first, second = own.deployed
    assert second == compiled_datasets(DATASETS_DIR)
    assert first != second
