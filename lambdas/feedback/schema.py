"""The section ``feedback`` of a dataset: whose feedback a row is, and which rows are anomalies."""

from typing import Any, Final

from sluice_pipeline.catalog.checks import FIELD_CHECKS, TIME_CHECKS, RowChecks, parse_row_checks
from sluice_pipeline.catalog.checks_schema import checks_schema
from sluice_pipeline.catalog.datasets import Dataset
from sluice_pipeline.catalog.sections import Section, register

_PERSON, _CHECKS = "customer", "anomalies"
_KINDS: Final = frozenset(("field", *FIELD_CHECKS, *TIME_CHECKS))


def _parse(raw: Any, dataset: Dataset) -> RowChecks:
    return parse_row_checks(raw, dataset, _PERSON, _CHECKS, _KINDS)


FEEDBACK: Final = register(
    Section(
        name="feedback",
        parse=_parse,
        json_schema=checks_schema(
            "Rows go to DynamoDB, and anomalies among them are counted; no row is rejected.", _PERSON, _CHECKS, _KINDS
        ),
    )
)
