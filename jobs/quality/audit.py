"""Glue job of the quality gate: audits objects with Great Expectations, and writes the verdicts that `audit` writes.

A job of type ``glueetl``, for AWS's Python shell jobs have Python 3.9, and Great Expectations needs 3.10. It makes no
Spark session: the rows of an object are in memory, in the columns that are expected something of.
https://docs.aws.amazon.com/glue/latest/dg/add-job-python.html

``--extra-py-files``: the package of the function `audit`, for the rules and the verdict are the same code.
``--REQUEST``: ``{"objects": [{"object_id", "run"}, ...]}``, or its place in S3. An object that cannot be audited does
not keep the others from it; the job fails at the end, and names it.
"""

import json
import logging
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from quality.audit.arrow_engine import array, freshness, fulfilled, row_count
from quality.audit.recording import expected
from quality.audit.rows import SAMPLES, Outcome, Rows
from sluice_pipeline.catalog.expectations import Expectation, Kind, as_time, whole
from sluice_pipeline.catalog.fields import Field

NAME: Final = "great_expectations"
ARGUMENTS: Final = (
    "REQUEST", "LEDGER_TABLE", "STAGING_BUCKET", "SILVER_BUCKET", "QUALITY_BUCKET", "DATASETS_BUCKET", "DATASETS_KEY",
)  # fmt: skip
MAX_EXACT: Final = 2**53  # integers up to here are doubles
MAX_NAMED: Final = 5  # objects in the job's error
_FORMAT: Final = {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLES, "include_unexpected_rows": False}


def judge(expectations: Sequence[Expectation], rows: Rows) -> list[Outcome]:
    """What became of each expectation, in their order."""
    names = list(dict.fromkeys(name for one in expectations for name in one.fields))
    parts = list(rows.tables(names)) if names else []
    table = pa.concat_tables(parts).combine_chunks() if parts and rows.count else None
    if table is None:  # nothing of a row can be wrong, and a data frame without rows has no types
        return [_without_rows(one, rows) for one in expectations]
    frame = _frame(expectations, rows, table)
    results = _validate(frame, [_expectation(one, rows) for one in expectations])
    return [_outcome(one, rows, found) for one, found in zip(expectations, results, strict=True)]


# -- a data frame whose values are those of silver -------------------------------------------------------------------


def _frame(expectations: Sequence[Expectation], rows: Rows, table: pa.Table) -> Any:
    """A column for each field, and for what Great Expectations cannot say one of which rows it is true."""
    import pandas

    fields = rows.dataset.columns
    columns = {name: _series(array(table, name), fields[name]) for name in table.column_names}
    for one in expectations:
        if _has_column(one, fields):
            found = fulfilled(one, fields, lambda name: array(table, name))
            columns[_own_column(one)] = pandas.Series(found.to_pylist(), dtype=object)
    return pandas.DataFrame(columns)


def _series(column: pa.Array, field: Field) -> Any:
    """Values as they are: a pandas type of numbers would round those that stand beside a null."""
    import pandas

    if field.type == "float64":
        return pandas.Series(column.to_numpy(zero_copy_only=False), dtype="float64")
    if field.type in ("timestamp", "date"):
        return pandas.Series(pandas.array(_times(column), dtype="datetime64[us, UTC]"))
    if field.type == "int64" and not column.null_count and _all_doubles(column):
        return pandas.Series(column.to_numpy(), dtype="int64")
    return pandas.Series(column.to_pylist(), dtype=object)


def _all_doubles(column: pa.Array) -> bool:
    """Whether comparing with a double is exact."""
    ends = pc.min_max(column)
    return ends["min"].as_py() >= -MAX_EXACT and ends["max"].as_py() <= MAX_EXACT


def _times(column: pa.Array) -> Any:
    return column.cast(pa.timestamp("us", tz="UTC")).to_pandas()


def _own_column(expectation: Expectation) -> str:
    return f"{expectation.name}: {expected(expectation)}"


# -- Great Expectations ----------------------------------------------------------------------------------------------


def _expectation(one: Expectation, rows: Rows) -> Any:
    """The expectation of Great Expectations that says the same."""
    import great_expectations.expectations as gxe

    column = one.fields[0] if one.fields else ""
    if _has_column(one, rows.dataset.columns):
        return gxe.ExpectColumnValuesToBeInSet(column=_own_column(one), value_set=[True], mostly=one.mostly)
    match one.kind:
        case Kind.ROW_COUNT:
            return gxe.ExpectTableRowCountToBeBetween(min_value=one.minimum, max_value=one.maximum)
        case Kind.NOT_NULL:
            return gxe.ExpectColumnValuesToNotBeNull(column=column, mostly=one.mostly)
        case Kind.UNIQUE:
            return gxe.ExpectColumnValuesToBeUnique(column=column, mostly=one.mostly)
        case Kind.UNIQUE_TOGETHER:
            return gxe.ExpectCompoundColumnsToBeUnique(
                column_list=list(one.fields), ignore_row_if="any_value_is_missing", mostly=one.mostly
            )
        case Kind.RANGE:
            bounds = _bounds(one, rows.dataset.columns[column]) or {}
            return gxe.ExpectColumnValuesToBeBetween(column=column, mostly=one.mostly, **bounds)
        case Kind.SET:
            return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(one.allowed), mostly=one.mostly)
        case Kind.PATTERN:
            return gxe.ExpectColumnValuesToMatchRegex(column=column, regex=whole(one.pattern), mostly=one.mostly)
        case Kind.FRESH:
            return gxe.ExpectColumnMaxToBeBetween(column=column, min_value=one.oldest(rows.arrived))


def _bounds(one: Expectation, field: Field) -> dict[str, float] | None:
    """The bounds as the doubles that Great Expectations makes of them; None when these would part other values.

    A value of the field is a multiple of a step, so a double between the bound and the next value says the same.
    """
    step = Fraction(1, 10 ** (field.decimal[1] if field.decimal else 0))
    found: dict[str, float] = {}
    for name, bound, is_least in (("min_value", one.minimum, True), ("max_value", one.maximum, False)):
        if bound is None or field.type == "float64":
            found |= {} if bound is None else {name: float(bound)}
            continue
        value = (math.ceil if is_least else math.floor)(Fraction(bound) / step) * step
        double = float(value)
        if double != value and (double > value) == is_least:
            double = math.nextafter(double, -math.inf if is_least else math.inf)
        if abs(Fraction(double) - value) >= step:
            return None
        found[name] = double
    if len(found) == 2 and found["min_value"] > found["max_value"]:  # it refuses these, and no value is between them
        return None
    return found


def _has_column(one: Expectation, fields: Mapping[str, Field]) -> bool:
    """Whether the frame has a column that says of which rows the expectation is true."""
    return one.kind == Kind.CONDITION or (one.kind == Kind.RANGE and _bounds(one, fields[one.fields[0]]) is None)


def _validate(frame: Any, expectations: Sequence[Any]) -> list[Any]:
    """The result of each expectation, in their order. Raises RuntimeError when one could not be judged."""
    import great_expectations
    import pandas

    # Texts are matched by Python's regular expressions, and not by those of the storage that pandas prefers.
    pandas.set_option("mode.string_storage", "python")
    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = great_expectations.data_context.types.base.ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("object").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    # The results of a suite are in an order of their own.
    numbered = [one.copy(update={"meta": {"number": number}}) for number, one in enumerate(expectations)]
    suite = great_expectations.ExpectationSuite(name="expected", expectations=numbered)
    results = batch.validate(suite, result_format=_FORMAT).results
    found = {one.expectation_config.meta["number"]: one for one in results}
    for one in found.values():
        if not {"observed_value", "unexpected_count"} & one.result.keys():
            raise RuntimeError(f"{one.expectation_config.type} could not be judged: {one.exception_info}")
    return [found[number] for number in range(len(expectations))]


def _outcome(one: Expectation, rows: Rows, found: Any) -> Outcome:
    result = found.result
    if one.kind == Kind.ROW_COUNT:
        return row_count(int(result["observed_value"]), bool(found.success))
    if one.kind == Kind.FRESH:
        return freshness(rows.count, bool(found.success), _moment(result["observed_value"]))
    judged = int(result["element_count"]) - int(result.get("missing_count") or 0)
    first = tuple(int(number) for number in result.get("partial_unexpected_index_list") or ())[:SAMPLES]
    return Outcome(bool(found.success), judged, int(result["unexpected_count"]), first)


def _moment(value: Any) -> datetime | None:
    import pandas

    return None if value is None or value is pandas.NaT else as_time(pandas.Timestamp(value).to_pydatetime())


def _without_rows(one: Expectation, rows: Rows) -> Outcome:
    if one.kind == Kind.ROW_COUNT:
        return row_count(rows.count, one.holds_count(rows.count))
    return freshness(rows.count, False, None) if one.kind == Kind.FRESH else Outcome(True, 0)


# -- the job ---------------------------------------------------------------------------------------------------------


def main() -> None:
    """Raises RuntimeError: some objects have no verdict."""
    import boto3
    from awsglue.utils import getResolvedOptions

    from quality.audit.auditing import Auditor, Buckets, Engine
    from quality.audit.recording import Verdicts
    from sluice_pipeline.catalog.deployed import DeployedDatasets
    from sluice_pipeline.ledger.ledger import Ledger

    given = getResolvedOptions(sys.argv, list(ARGUMENTS))
    s3 = boto3.client("s3")
    auditor = Auditor(
        s3,
        Buckets(given["STAGING_BUCKET"], given["SILVER_BUCKET"]),
        Ledger(boto3.client("dynamodb"), given["LEDGER_TABLE"]),
        DeployedDatasets(s3, given["DATASETS_BUCKET"], given["DATASETS_KEY"]),
        Verdicts(s3, given["QUALITY_BUCKET"]),
        Engine(NAME, judge),
    )
    failed: list[str] = []
    for one in objects_of(given["REQUEST"], s3):
        try:
            done = auditor.audit(str(one["object_id"]), int(one["run"]))
            print(json.dumps(one | {"outcome": done.outcome, "passed": done.passed, "rows": done.rows}))
        except Exception as error:
            logging.exception("not audited: %s", one)
            failed.append(f"{one['object_id']}: {type(error).__name__}: {error}")
    if failed:
        more = f" and {len(failed) - MAX_NAMED} more" if len(failed) > MAX_NAMED else ""
        raise RuntimeError(f"not audited: {'; '.join(failed[:MAX_NAMED])}{more}")


def objects_of(request: str, s3: Any) -> list[dict[str, Any]]:
    """What is to be audited; a long list is an object in S3, for arguments of a job are short."""
    text = request
    if request.startswith("s3://"):
        bucket, _, key = request.removeprefix("s3://").partition("/")
        text = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    objects: list[dict[str, Any]] = json.loads(text)["objects"]
    return objects


if __name__ == "__main__":
    main()
