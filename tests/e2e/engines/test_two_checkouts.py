"""A second checkout beside the first: each has its engine, and no shell of one works on the other's by accident."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice.engine.instance import EngineInfo
from tests.support.checkouts import Checkout, copy_of

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("embedded_only")]


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Checkout, Checkout]]:
    both = copy_of(tmp_path_factory.mktemp("one")), copy_of(tmp_path_factory.mktemp("two"))
    yield both
    for checkout in both:
        checkout.sluice("down", "--quiet")


def shell_of(checkout: Checkout, info: EngineInfo) -> dict[str, str]:
    """What `sluice env` of a checkout leaves in a shell, as far as another one's tool could be misled by it."""
    data = checkout.instance.terraform_dir / "data"
    return {
        "SLUICE_HOME": str(checkout.instance.home),
        "AWS_ENDPOINT_URL": info.endpoint_url,
        "TF_DATA_DIR": str(data),
        "TF_CLI_ARGS_init": f"-backend-config=path={data.parent / 'terraform.tfstate'}",
    }


def test_a_shell_of_one_checkout_does_not_work_on_its_engine_from_the_other(
    checkouts: tuple[Checkout, Checkout],
) -> None:
    one, two = checkouts
    first, second = one.up(), two.up()
    assert {first.port, first.postgres_port}.isdisjoint({second.port, second.postgres_port})
    shell = shell_of(one, first)
    for words in (
        ["plan"],
        ["deploy"],
        ["runs"],
        ["status"],
        ["outputs"],
        ["env"],
        ["up"],
        ["down"],
        ["destroy", "-y"],
    ):
        done = two.sluice(*words, **shell)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert f"SLUICE_HOME names {one.instance.home}, which belongs to the checkout {one.root}" in done.stderr, words
    del shell["SLUICE_HOME"]
    for words in (["plan"], ["deploy"], ["runs"]):
        done = two.sluice(*words, **shell)
        assert done.returncode == 2, words
        assert f"AWS_ENDPOINT_URL in this shell is {first.endpoint_url}" in done.stderr, words
    assert one.instance.info() == first
    assert two.instance.info() == second
    assert not list(one.instance.terraform_dir.glob("*.tfstate*"))
    assert first.engine.alive()

    asked = two.sluice("status", "--json", "--home", str(one.instance.home), **shell)
    assert asked.returncode == 0, asked.stderr
    assert f'"endpoint_url": "{first.endpoint_url}"' in asked.stdout


def test_a_port_stays_the_same_over_down_and_up(checkouts: tuple[Checkout, Checkout]) -> None:
    _, two = checkouts
    before = two.up()
    assert two.sluice("down").returncode == 0
    assert not two.instance.running
    after = two.up()
    assert (after.port, after.postgres_port) == (before.port, before.postgres_port)
    assert after.engine != before.engine
