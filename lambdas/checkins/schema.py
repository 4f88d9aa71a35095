"""The section ``checkin`` of a dataset: whose check-in a row is, and the tests that a day's file has to pass.

The hard expectations of the section ``quality`` are tests as well, so a file passes them with and without the gate.
"""

from dataclasses import replace
from typing import Any, Final

from sluice_pipeline.catalog.checks import FIELD_CHECKS, FILE_CHECKS, Check, RowChecks, parse_row_checks
from sluice_pipeline.catalog.checks_schema import checks_schema
from sluice_pipeline.catalog.datasets import Dataset
from sluice_pipeline.catalog.errors import InvalidSetting
from sluice_pipeline.catalog.expectations import expectations_of
from sluice_pipeline.catalog.sections import Section, register

_PERSON, _CHECKS = "user", "tests"
_KINDS: Final = frozenset(("field", "hard", *FIELD_CHECKS, *FILE_CHECKS))


def _parse(raw: Any, dataset: Dataset) -> RowChecks:
    own = parse_row_checks(raw, dataset, _PERSON, _CHECKS, _KINDS)
    shared = _hard_expectations(dataset)
    for name in {check.name for check in own.checks} & {check.name for check in shared}:
        raise InvalidSetting(f"{_CHECKS}.{name}", "is an expectation of the section quality, too")
    return replace(own, checks=(*shared, *own.checks))


def _hard_expectations(dataset: Dataset) -> tuple[Check, ...]:
    try:
        return tuple(check for one in expectations_of(dataset) if one.hard and (check := one.check))
    except InvalidSetting:  # an error of the section quality, which names the place itself
        return ()


CHECKIN: Final = register(
    Section(
        name="checkin",
        parse=_parse,
        json_schema=checks_schema(
            "Rows go to DynamoDB after these tests. A hard test that fails stops the run; rows that fail a soft one "
            "are left out.",
            _PERSON,
            _CHECKS,
            _KINDS,
        ),
    )
)
