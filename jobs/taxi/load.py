"""Glue job (Python shell): the clean rows of one attempt replace their month in Redshift, all or nothing.

One BatchExecuteStatement of the Data API is one transaction: rows are copied into a staging table and counted, the old
rows of the month go, the new ones come, and are counted again. A count that differs makes the transaction fail, so the
old month stays whole; so it does wherever this job dies. The report is written last.
https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_BatchExecuteStatement.html

Python 3.9 and boto3 only: https://docs.aws.amazon.com/glue/latest/dg/add-job-python.html
"""

import hashlib
import json
import re
import sys
import time

import boto3
from awsglue.utils import getResolvedOptions
from botocore.config import Config

ARGUMENTS = ("year", "month", "bucket", "prefix", "batch", "workgroup", "database", "copy_role")
COLUMNS = (
    ("vendor_id", "INTEGER"), ("pickup_datetime", "TIMESTAMP"), ("dropoff_datetime", "TIMESTAMP"),
    ("passenger_count", "INTEGER"), ("trip_distance", "DOUBLE PRECISION"), ("pickup_location_id", "INTEGER"),
    ("dropoff_location_id", "INTEGER"), ("payment_type", "INTEGER"), ("fare_amount", "DOUBLE PRECISION"),
    ("tip_amount", "DOUBLE PRECISION"), ("total_amount", "DOUBLE PRECISION"), ("load_batch", "VARCHAR(7)"),
    ("source", "VARCHAR(512)"),
)  # fmt: skip
NAMES = ", ".join(name for name, _ in COLUMNS)
FORMS = {
    "year": r"20[0-9]{2}",
    "month": r"(?:0[1-9]|1[0-2])",
    "bucket": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "prefix": r"[a-z0-9_-]+",
    "batch": r"20[0-9]{2}-(?:0[1-9]|1[0-2])-[1-9][0-9]{0,8}",
    "copy_role": r"arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+",
}
ENDED = ("FINISHED", "FAILED", "ABORTED")
KEEP_SECONDS = 60  # of a session that is not used any more
FIRST_WAIT, LAST_WAIT = 0.2, 2.0


class LoadFailed(Exception):
    """Says what differs, or what Redshift says."""


# -- what is to be done ------------------------------------------------------------------------------------------------


def checked(given):
    """The arguments. COPY takes no parameters, so what becomes part of it must have exactly the form that it has."""
    for name, form in FORMS.items():
        if not re.fullmatch(form, given[name]):
            raise LoadFailed(f"--{name} {given[name]!r} is not valid")
    if not given["batch"].startswith("{year}-{month}-".format(**given)):
        raise LoadFailed("--batch {batch} is not of {year}-{month}".format(**given))
    return given


def rejected_rows(report):
    return sum(report["rejected"].values())


def check_report(report, given):
    """Raises LoadFailed: the transform did not account for every row, or names files that are not its own."""
    files = sum(file["rows"] for file in report["files"])
    rejected = rejected_rows(report)
    if report["raw"] != report["clean"] + rejected:
        raise LoadFailed("raw rows {}, clean {} and rejected {}".format(report["raw"], report["clean"], rejected))
    if files != report["clean"]:
        raise LoadFailed("clean rows {}, rows of their files {}".format(report["clean"], files))
    own = "clean/{prefix}/year={year}/month={month}/{batch}/".format(**given)
    strange = [file["key"] for file in report["files"] if not file["key"].startswith(own)]
    if strange:
        raise LoadFailed(f"{strange[0]} is not below {own}")


def manifest(report, bucket):
    """https://docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html"""
    files = [file for file in report["files"] if file["rows"]]
    return {
        "entries": [
            {
                "url": "s3://{}/{}".format(bucket, file["key"]),
                "mandatory": True,
                "meta": {"content_length": file["bytes"]},
            }
            for file in sorted(files, key=lambda one: one["key"])
        ]
    }


# Values, in a table of the session: BatchExecuteStatement has no parameters, so the call before it binds them.
BIND = (
    "CREATE TEMP TABLE this_load AS SELECT CAST(:month AS VARCHAR(7)) AS month, CAST(:attempt AS INTEGER) AS attempt,"
    " CAST(:source AS VARCHAR(512)) AS source, CAST(:raw AS BIGINT) AS raw, CAST(:clean AS BIGINT) AS clean,"
    " CAST(:rejected AS BIGINT) AS rejected"
)
MONTH = "load_batch = (SELECT month FROM this_load)"


def statements(given, with_files):
    """The transaction: SQL in its order. Only the place and role of COPY are part of it: they cannot be values."""
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
    copy = "COPY yellow_staged FROM 's3://{bucket}/{key}' IAM_ROLE '{copy_role}' FORMAT AS PARQUET MANIFEST".format(
        key=manifest_key(given), **given
    )
    return [
        # Before anything is read: from here on this is the only load, and reads what the last one has committed.
        # https://docs.aws.amazon.com/redshift/latest/dg/r_LOCK.html
        "LOCK TABLE yellow_loads",
        must(
            "SELECT COALESCE(MAX(attempt), 0) AS found FROM yellow_loads WHERE " + MONTH,
            "found <= attempt",
            "'a newer attempt has loaded the month: ' || found",
        ),
        f"CREATE TEMP TABLE yellow_staged ({columns})",
        *([copy] if with_files else []),
        must_count("yellow_staged", "staged rows"),
        must_count(
            f"yellow_staged WHERE {MONTH} AND source = (SELECT source FROM this_load)",
            "staged rows of the month and its file",
        ),
        "DELETE FROM yellow_trips WHERE " + MONTH,
        f"INSERT INTO yellow_trips ({NAMES}, loaded_at) SELECT {NAMES}, GETDATE() FROM yellow_staged",
        must_count("yellow_trips WHERE " + MONTH, "rows in the table"),
        "DELETE FROM yellow_loads WHERE " + MONTH,
        "INSERT INTO yellow_loads (load_batch, attempt, source, raw_rows, loaded_rows, rejected_rows, loaded_at)"
        " SELECT month, attempt, source, raw, clean, rejected, GETDATE() FROM this_load",
    ]


def must(query, condition, text):
    """A statement that fails, and with it the transaction, unless the condition on the query's ``found`` holds. Then it
    says ``text``, which is no number and so no INTEGER. All three are SQL."""
    checked = f"CAST(CASE WHEN {condition} THEN '0' ELSE {text} END AS INTEGER) AS checked"
    return f"SELECT {checked} FROM this_load CROSS JOIN ({query}) AS counts"


def must_count(source, what):
    """A statement that fails unless ``source`` has as many rows as are clean."""
    return must(
        "SELECT COUNT(*) AS found FROM " + source, "found = clean", f"'{what}: ' || found || ' instead of ' || clean"
    )


def parameters(given, report, source):
    """Of BIND, as the Data API takes them: all are texts."""
    values = {
        "month": "{year}-{month}".format(**given),
        "attempt": given["batch"].rsplit("-", 1)[1],
        "source": source,
        "raw": str(report["raw"]),
        "clean": str(report["clean"]),
        "rejected": str(rejected_rows(report)),
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def manifest_key(given):
    return "manifests/{year}-{month}/{batch}.json".format(**given)


def report_key(job, given):
    return "reports/{job}/{year}-{month}/{batch}.json".format(job=job, **given)


def name_of(batch, sqls, values):
    """The same for the same transaction, so that a job that is started again finds what an earlier one began."""
    digest = hashlib.sha256(json.dumps([sqls, values], sort_keys=True).encode()).hexdigest()[:16]
    return f"taxi-load-{batch}-{digest}"


# -- doing it ----------------------------------------------------------------------------------------------------------


def load(given, s3, redshift, wait=time.sleep):
    """The report. Raises LoadFailed."""
    report = read_json(s3, given["bucket"], report_key("transform", given))
    source = read_json(s3, given["bucket"], report_key("ingest", given))["key"]
    check_report(report, given)
    listed = manifest(report, given["bucket"])
    put_json(s3, given["bucket"], manifest_key(given), listed)
    sqls, values = statements(given, bool(listed["entries"])), parameters(given, report, source)
    found = finished(given, redshift, sqls, values, wait)
    done = {
        "batch": given["batch"],
        "loaded": report["clean"],
        "replaced": replaced(found, sqls),
        "raw": report["raw"],
        "rejected": rejected_rows(report),
        "statement": found["Id"],
    }
    put_json(s3, given["bucket"], report_key("load", given), done)
    return done


def finished(given, redshift, sqls, values, wait):
    """The ended transaction as DescribeStatement shows it.

    One that an earlier run of this job has begun, and that did not fail, is this one's: its name has a digest of all
    that it does. Should two run all the same, they follow each other, and the second one replaces the month by the same
    rows.
    """
    name = name_of(given["batch"], sqls, values)
    begun = [one["Id"] for one in listed_statements(redshift, name) if one["Status"] not in ("FAILED", "ABORTED")]
    found = ended(redshift, begun[0] if begun else begin(given, redshift, name, sqls, values, wait), wait)
    if found["Status"] != "FINISHED":
        raise LoadFailed(failure(found, sqls))
    return found


def begin(given, redshift, name, sqls, values, wait):
    """The id of a new transaction. The SDK gives each call a ClientToken: one that it repeats begins one statement."""
    bound = redshift.execute_statement(
        WorkgroupName=given["workgroup"],
        Database=given["database"],
        Sql=BIND,
        Parameters=values,
        StatementName=name.replace("load", "bind", 1),
        SessionKeepAliveSeconds=KEEP_SECONDS,
    )
    found = ended(redshift, bound["Id"], wait)
    if found["Status"] != "FINISHED":
        raise LoadFailed(failure(found, [BIND]))
    begun = redshift.batch_execute_statement(
        SessionId=bound.get("SessionId") or found["SessionId"],
        Sqls=sqls,
        StatementName=name,
        SessionKeepAliveSeconds=KEEP_SECONDS,
    )
    return begun["Id"]


def ended(redshift, statement, wait):
    """A statement that has ended, as DescribeStatement shows it. The job's own timeout is the deadline."""
    pause = FIRST_WAIT
    while True:
        found = redshift.describe_statement(Id=statement)
        if found["Status"] in ENDED:
            return found
        wait(pause)
        pause = min(LAST_WAIT, pause * 1.5)


def listed_statements(redshift, name):
    """Those of this role that have the name; Redshift knows them for 24 hours."""
    following = {}
    while True:
        page = redshift.list_statements(StatementName=name, Status="ALL", RoleLevel=True, **following)
        yield from page["Statements"]
        if not page.get("NextToken"):
            return
        following = {"NextToken": page["NextToken"]}


def failure(found, sqls):
    """What Redshift says, and of which statement of the transaction."""
    for number, part in enumerate(found.get("SubStatements") or []):
        if part["Status"] == "FAILED":
            return "statement {} ({}...): {}".format(number + 1, " ".join(sqls[number].split())[:60], part.get("Error"))
    return found.get("Error") or "the statement {} is {}".format(found["Id"], found["Status"])


def replaced(found, sqls):
    """Rows of the month that were there before."""
    position = next(number for number, sql in enumerate(sqls) if sql.startswith("DELETE FROM yellow_trips"))
    return (found.get("SubStatements") or [{}] * len(sqls))[position].get("ResultRows", 0)


def read_json(s3, bucket, key):
    try:
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        raise LoadFailed(f"{key} is not there: its job has not ended") from None


def put_json(s3, bucket, key, value):
    body = json.dumps(value, sort_keys=True, indent=1).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def main():
    given = checked(getResolvedOptions(sys.argv, list(ARGUMENTS)))
    config = Config(retries={"mode": "standard", "max_attempts": 6}, connect_timeout=5, read_timeout=30)
    done = load(given, boto3.client("s3", config=config), boto3.client("redshift-data", config=config))
    print(json.dumps(done))


if __name__ == "__main__":
    main()
