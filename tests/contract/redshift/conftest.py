"""One engine with a PostgreSQL for all tests of Redshift, and a namespace that most of them share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.engine_harness import Engine
from tests.support.redshift import Warehouse, engine_with_server


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """It enforces policies: the callers that have a role may do what its policies allow."""
    with engine_with_server(SLUICE_IAM="enforce") as running:
        yield running


@pytest.fixture(scope="session")
def shared(engine: Engine) -> Warehouse:
    return Warehouse(engine)


@pytest.fixture
def warehouse(engine: Engine, shared: Warehouse) -> Iterator[Callable[..., Warehouse]]:
    """Makes namespaces of the test's own; deleted afterwards. The shared one is made before, and has `dev`."""
    assert shared.engine is engine
    made: list[Warehouse] = []

    def make(**options: Any) -> Warehouse:
        made.append(Warehouse(engine, **options))
        return made[-1]

    yield make
    for one in made:
        one.delete()
