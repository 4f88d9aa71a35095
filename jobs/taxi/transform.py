"""Glue job (Glue 6.0, Spark): the trips of a month in the published columns; rows that are rejected, with their reason.

A row has the first reason that applies to it:

| reason | the row |
|---|---|
| no_pickup_time, no_dropoff_time | has none |
| other_month | was picked up in another month than that of its file |
| dropoff_before_pickup | ends before it begins |
| not_castable | has a value that its column cannot hold; ``field`` names the first |

Refunds (negative amounts), trips of no distance and missing values are rows like any others: the table is what was
published. Every row of the raw file is in clean/ or in rejected/, which is checked against the file's own count before
the report is written, last. Both folders are of one attempt; a run that is repeated writes them again.
"""

import json
import re
import sys

import boto3
from awsglue.utils import getResolvedOptions
from botocore.config import Config

ARGUMENTS = ("year", "month", "bucket", "prefix", "batch")
FORMS = {
    "year": r"20[0-9]{2}",
    "month": r"(?:0[1-9]|1[0-2])",
    "bucket": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "prefix": r"[a-z0-9_-]+",
    "batch": r"20[0-9]{2}-(?:0[1-9]|1[0-2])-[1-9][0-9]{0,8}",
}
# Column of the table, type, and the file's column, whose case has changed over the years.
# https://www.nyc.gov/assets/tlc/downloads/pdf/data_dictionary_trip_records_yellow.pdf
COLUMNS = (
    ("vendor_id", "int", "vendorid"),
    ("pickup_datetime", "time", "tpep_pickup_datetime"),
    ("dropoff_datetime", "time", "tpep_dropoff_datetime"),
    ("passenger_count", "int", "passenger_count"),
    ("trip_distance", "double", "trip_distance"),
    ("pickup_location_id", "int", "pulocationid"),
    ("dropoff_location_id", "int", "dolocationid"),
    ("payment_type", "int", "payment_type"),
    ("fare_amount", "double", "fare_amount"),
    ("tip_amount", "double", "tip_amount"),
    ("total_amount", "double", "total_amount"),
)
REASONS = ("no_pickup_time", "no_dropoff_time", "other_month", "dropoff_before_pickup", "not_castable")
OTHER_MONTH = "other_month"
OWN = ("reason", "field")  # columns of rejected/ beside those of the raw file


class TransformFailed(Exception):
    """Says which rows are not accounted for, or what the file lacks."""


def checked(given):
    """The arguments. They become parts of keys, so each has exactly the form that it must have."""
    for name, form in FORMS.items():
        if not re.fullmatch(form, given[name]):
            raise TransformFailed(f"--{name} {given[name]!r} is not valid")
    if not given["batch"].startswith("{year}-{month}-".format(**given)):
        raise TransformFailed("--batch {batch} is not of {year}-{month}".format(**given))
    return given


def sources_of(names):
    """Table's column -> the file's. Raises TransformFailed: it has not all of them, or one twice."""
    found = {}
    for column, _, wanted in COLUMNS:
        having = [name for name in names if name.lower() == wanted]
        if len(having) != 1:
            what = "no column" if not having else "more than one column"
            raise TransformFailed(f"the raw file has {what} {wanted}; it has {', '.join(names)}")
        found[column] = having[0]
    return found


def bounds(year, month):
    """The month's first moment, and the next month's."""
    following = (year + 1, 1) if month == 12 else (year, month + 1)
    return f"{year:04}-{month:02}-01 00:00:00", "{:04}-{:02}-01 00:00:00".format(*following)


def folder(kind, given):
    return "{kind}/{prefix}/year={year}/month={month}/{batch}/".format(kind=kind, **given)


def root_of(given):
    return "s3://{bucket}/".format(**given)


def report_key(job, given):
    return "reports/{job}/{year}-{month}/{batch}.json".format(job=job, **given)


# -- rows --------------------------------------------------------------------------------------------------------------


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


def value_of(raw, kind, type_name):
    """SQL of a raw value in the table's type: NULL where it has none, or one that the type cannot hold."""
    if kind == "time" and type_name == "bigint":
        # Nanoseconds are read as a number (spark.sql.legacy.parquet.nanosAsLong).
        return f"CAST(timestamp_micros({raw} DIV 1000) AS TIMESTAMP_NTZ)"
    if kind != "int":
        return f"try_cast({raw} AS {'TIMESTAMP_NTZ' if kind == 'time' else 'DOUBLE'})"
    # A whole number may be written as 1.0; 1.5 passengers are not rounded.
    number = f"try_cast({raw} AS DOUBLE)"
    return f"CASE WHEN {number} = rint({number}) THEN try_cast({number} AS INT) END"


def lost_field(raw):
    """SQL of the first column that has lost its value on the way into its type; NULL when none has."""
    cases = " ".join(
        f"WHEN `{column}` IS NULL AND {raw[column]} IS NOT NULL THEN '{column}'" for column, _, _ in COLUMNS
    )
    return f"CASE {cases} END"


def reason_of(raw, given):
    """SQL of the first reason that applies, NULL for a clean row; REASONS in their order."""
    begin, end = bounds(int(given["year"]), int(given["month"]))
    tests = (
        f"{raw['pickup_datetime']} IS NULL",
        f"{raw['dropoff_datetime']} IS NULL",
        f"pickup_datetime < TIMESTAMP_NTZ'{begin}' OR pickup_datetime >= TIMESTAMP_NTZ'{end}'",
        "dropoff_datetime < pickup_datetime",
        "field IS NOT NULL",
    )
    cases = " ".join(f"WHEN {test} THEN '{reason}'" for reason, test in zip(REASONS, tests, strict=True))
    return f"CASE {cases} END"


def judged(file, given):
    """The rows of a raw file: the table's columns, ``raw`` (a struct of its own), ``field`` and ``reason``."""
    types = dict(file.dtypes)
    sources = sources_of(file.columns)
    raw = {column: f"raw.{quoted(name)}" for column, name in sources.items()}
    # Raw columns may have the names of the table's.
    rows = file.selectExpr("struct(" + ", ".join(quoted(name) for name in file.columns) + ") AS raw")
    values = [f"{value_of(raw[column], kind, types[sources[column]])} AS `{column}`" for column, kind, _ in COLUMNS]
    rows = rows.selectExpr("raw", *values).selectExpr("*", f"{lost_field(raw)} AS field")
    return rows.selectExpr("*", f"{reason_of(raw, given)} AS reason")


def clean_of(rows, given, source):
    """The table's columns, in their order."""
    names = [column for column, _, _ in COLUMNS]
    month = "{year}-{month}".format(**given)
    return rows.where("reason IS NULL").selectExpr(
        *[f"`{name}`" for name in names], f"'{month}' AS load_batch", f"'{source}' AS source"
    )


def kept_names(names):
    """Raw column -> its name in rejected/: its own, with an underscore where that is one of ours."""
    kept = {}
    for name in names:
        shown = name
        while shown in OWN or (shown != name and shown in names):
            shown += "_"
        kept[name] = shown
    return kept


def rejected_of(rows, names):
    """The raw columns as text, with why."""
    kept = [f"CAST(raw.{quoted(name)} AS STRING) AS {quoted(shown)}" for name, shown in kept_names(names).items()]
    return rows.where("reason IS NOT NULL").selectExpr(*kept, *OWN)


# -- the run -----------------------------------------------------------------------------------------------------------


def session():
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    for name, value in {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.caseSensitive": "true",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.legacy.parquet.nanosAsLong": "true",
        "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
        "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        # Several files, which COPY reads side by side.
        "spark.sql.files.maxPartitionBytes": str(32 * 2**20),
    }.items():
        spark.conf.set(name, value)
    return spark


def written(spark, s3, given, kind):
    """The files of a folder as they can be read: key, rows and bytes of each that has rows."""
    rows = spark.read.parquet(root_of(given) + folder(kind, given)).selectExpr("_metadata.file_name AS name")
    counts = {row["name"]: row["count"] for row in rows.groupBy("name").count().collect()}
    files = []
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=given["bucket"], Prefix=folder(kind, given))
    for page in pages:
        for one in page.get("Contents", []):
            count = counts.pop(one["Key"].rsplit("/", 1)[-1], 0)
            if count:
                files.append({"key": one["Key"], "rows": count, "bytes": one["Size"]})
    if counts:
        raise TransformFailed(f"files that were read are not listed: {', '.join(sorted(counts))}")
    return files


def transform(given, spark, s3):
    """The report. Raises TransformFailed."""
    ingested = read_json(s3, given["bucket"], report_key("ingest", given))
    if not ingested["published"]:
        raise TransformFailed("the month is not published: {source_url}".format(**ingested))
    root = root_of(given)
    raw = spark.read.parquet(root + ingested["key"])
    rows = judged(raw, given)
    clean_of(rows, given, ingested["key"]).write.mode("overwrite").parquet(root + folder("clean", given))
    rejected_of(rows, raw.columns).write.mode("overwrite").parquet(root + folder("rejected", given))
    files = written(spark, s3, given, "clean")
    rejected = spark.read.parquet(root + folder("rejected", given)).groupBy("reason").count().collect()
    counts = {row["reason"]: row["count"] for row in rejected}
    done = {
        "batch": given["batch"],
        "raw": ingested["rows"],
        "clean": sum(file["rows"] for file in files),
        "rejected": {reason: counts.get(reason, 0) for reason in REASONS},
        "out_of_month": counts.get(OTHER_MONTH, 0),
        "files": files,
        "columns": raw.columns,
        "source": ingested["key"],
    }
    check(done, counts)
    body = json.dumps(done, sort_keys=True, indent=1).encode()
    s3.put_object(Bucket=given["bucket"], Key=report_key("transform", given), Body=body, ContentType="application/json")
    return done


def check(done, counts):
    """Raises TransformFailed unless every raw row is clean or rejected for a known reason."""
    rejected = sum(done["rejected"].values())
    if set(counts) - set(REASONS) or done["raw"] != done["clean"] + rejected:
        raise TransformFailed(
            "{} raw rows, but {} clean and {} rejected: {}".format(done["raw"], done["clean"], rejected, counts)
        )


def read_json(s3, bucket, key):
    try:
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        raise TransformFailed(f"{key} is not there: its job has not ended") from None


def main():
    given = checked(getResolvedOptions(sys.argv, list(ARGUMENTS)))
    s3 = boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 6}))
    print(json.dumps(transform(given, session(), s3)))


if __name__ == "__main__":
    main()
