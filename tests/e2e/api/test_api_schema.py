"""schemathesis asks the deployed API whatever its OpenAPI document allows, and much that it does not."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance

from sluice.branches.api import client as api_client
from sluice.branches.api.client import Client
from sluice.pipeline.stack import Stack

load_all_checks()
EXAMPLES = 20  # of each operation; some fifteen seconds together

# A document cannot say that a query names tables that are there, that a column belongs to the dataset beside it, or
# that a parameter of a URL is another operation's: what fits it may still be refused, in the shape of an error.
NOT_SAID = [positive_data_acceptance]


@pytest.fixture(scope="module")
def api_schema(stack: Stack) -> Any:
    if stack.outputs.get("api_id") is None:
        pytest.skip("api_enabled is off")
    url = api_client.base_url(stack)
    document = Client(url, None).get("/openapi.json").body
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    return schema


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return api_client.key_of(stack)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_the_api_does_what_its_document_says(api_schema: Any, key: str, mode: GenerationMode) -> None:
    """Each operation by itself; the first that does otherwise fails with a command that repeats it."""
    asked = 0
    for result in api_schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(headers={"x-api-key": key}, excluded_checks=NOT_SAID)

        with suppress(Unsatisfiable):  # an operation without parameters cannot be asked wrongly
            ask()
    assert asked >= 2 * EXAMPLES
