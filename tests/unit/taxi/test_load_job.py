"""The load: one transaction, whose numbers are right or which does not happen; killed at every call."""

import io
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.job_scripts import job_script

GIVEN = {
    "year": "2024", "month": "09", "bucket": "taxi-b", "prefix": "yellow", "batch": "2024-09-2",
    "workgroup": "taxi", "database": "taxi", "copy_role": "arn:aws:iam::123456789012:role/taxi-copy",
}  # fmt: skip
RAW = "raw/yellow/year=2024/month=09/" + "a" * 64 + ".parquet"
OWN = "clean/yellow/year=2024/month=09/2024-09-2/"
REPORT = {
    "raw": 1048, "clean": 1000, "rejected": {"other_month": 48, "no_pickup": 0}, "out_of_month": 48, "columns": [],
    "files": [{"key": f"{OWN}part-1.parquet", "rows": 400, "bytes": 4000},
              {"key": f"{OWN}part-0.parquet", "rows": 600, "bytes": 6000}],
}  # fmt: skip


@pytest.fixture(scope="module")
def job() -> Any:
    return job_script("taxi", "load")


class Died(BaseException):
    """The job's end at a call."""


class Aws:
    """S3 and the Data API; the warehouse is the attempt that it has of the month, and how often that was put there."""

    class exceptions:  # noqa: N801
        class NoSuchKey(Exception):
            pass

    def __init__(self) -> None:
        self.objects = {
            "reports/transform/2024-09/2024-09-2.json": json.dumps(REPORT).encode(),
            "reports/ingest/2024-09/2024-09-2.json": json.dumps({"key": RAW, "rows": 1048}).encode(),
        }
        self.statements: dict[str, dict[str, Any]] = {}
        self.month = "old"
        self.transactions = 0
        self.fails = ""
        self.lasts = 2  # looks until a transaction has ended
        self.dies: tuple[int, str] | None = None
        self.calls = itertools.count(1)
        self.made = 0

    def _call[T](self, do: Callable[[], T]) -> T:
        number = self.made = next(self.calls)
        if self.dies == (number, "before"):
            raise Died
        answer = do()
        if self.dies == (number, "after"):
            raise Died
        return answer

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        def get() -> dict[str, Any]:
            if Key not in self.objects:
                raise self.exceptions.NoSuchKey
            return {"Body": io.BytesIO(self.objects[Key])}

        return self._call(get)

    def put_object(self, Bucket: str, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        self._call(lambda: self.objects.update({Key: Body}))

    def list_statements(self, StatementName: str, Status: str, RoleLevel: bool, **_: Any) -> dict[str, Any]:  # noqa: N803
        assert (Status, RoleLevel) == ("ALL", True)
        found = [one for one in self.statements.values() if one["name"].startswith(StatementName)]
        return self._call(lambda: {"Statements": [{"Id": one["Id"], "Status": one["Status"]} for one in found]})

    def execute_statement(self, **request: Any) -> dict[str, Any]:
        assert set(request) == {
            "WorkgroupName", "Database", "Sql", "Parameters", "StatementName", "SessionKeepAliveSeconds"}  # fmt: skip
        return self._call(lambda: self._begin(request["StatementName"], [request["Sql"]], request["Parameters"]))

    def batch_execute_statement(self, **request: Any) -> dict[str, Any]:
        assert self.statements[request["SessionId"].removeprefix("session-")]["Status"] == "FINISHED"
        return self._call(lambda: self._begin(request["StatementName"], request["Sqls"], None))

    def _begin(self, name: str, sqls: list[str], parameters: Any) -> dict[str, Any]:
        number = str(len(self.statements) + 1)
        begun = {"Id": number, "name": name, "Status": "STARTED", "sqls": sqls, "looks": 0, "parameters": parameters}
        self.statements[number] = begun
        return {"Id": number, "SessionId": f"session-{number}"}

    def describe_statement(self, Id: str) -> dict[str, Any]:  # noqa: N803
        return self._call(lambda: self._look(self.statements[Id]))

    def _look(self, one: dict[str, Any]) -> dict[str, Any]:
        one["looks"] += 1
        if one["Status"] == "STARTED" and (one["parameters"] or one["looks"] > self.lasts):
            self._end(one)
        return {name: one[name] for name in ("Id", "Status", "SubStatements", "Error") if name in one}

    def _end(self, one: dict[str, Any]) -> None:
        """Redshift ends it whether the job lives or not."""
        if one["parameters"]:
            one["Status"] = "FINISHED"
        elif self.fails:
            one |= {"Status": "FAILED", "Error": self.fails, "SubStatements": [
                {"Status": "FINISHED"}, {"Status": "FAILED", "Error": self.fails}, {"Status": "ABORTED"}]}  # fmt: skip
        else:
            one["Status"] = "FINISHED"
            one["SubStatements"] = [
                {"Status": "FINISHED", "ResultRows": 970 if sql.startswith("DELETE FROM yellow_trips") else -1}
                for sql in one["sqls"]
            ]
            self.month, self.transactions = "new", self.transactions + 1

    def settles(self) -> None:
        """What runs in Redshift ends, while no job looks."""
        for one in self.statements.values():
            if one["Status"] == "STARTED":
                self._end(one)

    @property
    def report(self) -> Any:
        body = self.objects.get("reports/load/2024-09/2024-09-2.json")
        return json.loads(body) if body else None


def load(job: Any, aws: Aws) -> dict[str, Any]:
    done: dict[str, Any] = job.load(job.checked(dict(GIVEN)), aws, aws, wait=lambda _: None)
    return done


def test_a_load_replaces_the_month_in_one_transaction_and_reports_last(job: Any) -> None:
    aws = Aws()
    done = load(job, aws)
    assert (aws.month, aws.transactions) == ("new", 1)
    counts = {"loaded": 1000, "replaced": 970, "raw": 1048, "rejected": 48}
    assert done == aws.report == counts | {"batch": "2024-09-2", "statement": "2"}
    bind, transaction = aws.statements.values()
    values = {"month": "2024-09", "attempt": "2", "source": RAW, "raw": "1048", "clean": "1000", "rejected": "48"}
    assert {one["name"]: one["value"] for one in bind["parameters"]} == values
    starts = [sql.split()[0:2] for sql in transaction["sqls"]]
    assert starts[0] == ["LOCK", "TABLE"]
    places = [" ".join(words) for words in starts]
    assert places.index("COPY yellow_staged") < places.index("DELETE FROM") < places.index("INSERT INTO")
    assert json.loads(aws.objects["manifests/2024-09/2024-09-2.json"])["entries"] == [
        {"url": f"s3://taxi-b/{OWN}part-{n}.parquet", "mandatory": True, "meta": {"content_length": size}}
        for n, size in ((0, 6000), (1, 4000))
    ]


def test_no_value_is_part_of_the_sql(job: Any) -> None:
    """But the place and role of COPY, which has no parameters: the SQL of every other month is the same."""
    aws = Aws()
    load(job, aws)
    bind, transaction = aws.statements.values()
    other = job.statements(GIVEN | {"month": "10", "batch": "2024-10-7"}, True)
    differing = [(a, b) for a, b in zip(transaction["sqls"], other, strict=True) if a != b]
    assert [a.split()[0] for a, _ in differing] == ["COPY"]
    for one in bind["parameters"]:
        assert f"CAST(:{one['name']} AS" in bind["sqls"][0]


@pytest.mark.parametrize("way", ["before", "after"])
@pytest.mark.parametrize("settled", [False, True], ids=["still running", "ended meanwhile"])
def test_a_load_that_is_killed_at_any_call_leaves_the_old_month_or_the_new_one(
    job: Any, way: str, settled: bool
) -> None:
    """The next run of the job comes to the same report, and one transaction is all that the warehouse saw."""
    baseline = Aws()
    wanted = load(job, baseline)
    assert baseline.made >= 10
    for number in range(1, baseline.made + 1):
        aws = Aws()
        aws.dies = (number, way)
        with pytest.raises(Died):
            load(job, aws)
        assert aws.report in (None, wanted | {"statement": aws.report and aws.report["statement"]})
        assert aws.report is None or aws.month == "new", "a report of what did not happen"
        if settled:
            aws.settles()
        aws.dies = None
        again = load(job, aws)
        assert again | {"statement": ""} == wanted | {"statement": ""}
        assert (aws.month, aws.transactions) == ("new", 1), f"{way} call {number}"


def test_a_failed_transaction_leaves_the_old_month_and_is_begun_again_by_the_next_run(job: Any) -> None:
    aws = Aws()
    aws.fails = 'invalid input syntax for type integer: "rows in the table: 999 instead of 1000"'
    with pytest.raises(job.LoadFailed, match=r"statement 2 \(SELECT CAST.*999 instead of 1000"):
        load(job, aws)
    assert (aws.month, aws.report) == ("old", None)
    aws.fails = ""
    assert load(job, aws)["loaded"] == 1000
    assert (aws.month, aws.transactions) == ("new", 1)


def test_another_reports_transaction_is_not_taken_for_this_one(job: Any) -> None:
    aws = Aws()
    load(job, aws)
    corrected = REPORT | {"raw": 1049, "rejected": {"other_month": 49}}
    aws.objects["reports/transform/2024-09/2024-09-2.json"] = json.dumps(corrected).encode()
    assert load(job, aws)["rejected"] == 49
    assert aws.transactions == 2


def test_a_month_without_a_clean_row_is_loaded_without_a_copy(job: Any) -> None:
    aws = Aws()
    empty = {"raw": 48, "clean": 0, "rejected": {"other_month": 48}, "out_of_month": 48, "files": [], "columns": []}
    aws.objects["reports/transform/2024-09/2024-09-2.json"] = json.dumps(empty).encode()
    assert load(job, aws)["loaded"] == 0
    assert not [sql for sql in list(aws.statements.values())[1]["sqls"] if sql.startswith("COPY")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"raw": 1047}, "raw rows 1047, clean 1000 and rejected 48"),
        ({"clean": 999, "raw": 1047}, "clean rows 999, rows of their files 1000"),
        ({"files": [{"key": OWN.replace("-2/", "-1/") + "x", "rows": 1000, "bytes": 1}]}, "is not below clean/yellow"),
    ],
)
def test_a_report_that_does_not_add_up_is_not_loaded(job: Any, change: dict[str, Any], words: str) -> None:
    aws = Aws()
    aws.objects["reports/transform/2024-09/2024-09-2.json"] = json.dumps(REPORT | change).encode()
    with pytest.raises(job.LoadFailed, match=words):
        load(job, aws)
    assert (aws.statements, aws.month) == ({}, "old")


@pytest.mark.parametrize("job_name", ["transform", "ingest"])
def test_a_missing_report_is_named(job: Any, job_name: str) -> None:
    aws = Aws()
    del aws.objects[f"reports/{job_name}/2024-09/2024-09-2.json"]
    with pytest.raises(job.LoadFailed, match=f"reports/{job_name}/2024-09/2024-09-2.json is not there"):
        load(job, aws)


@pytest.mark.parametrize(
    "change",
    [
        {"batch": "2024-09-1'; DROP TABLE yellow_trips; --"}, {"batch": "2024-10-1"}, {"batch": "2024-09-0"},
        {"bucket": "b' IAM_ROLE 'x"}, {"copy_role": "default"}, {"copy_role": "arn:aws:iam::123456789012:role/x'y"},
        {"month": "13"}, {"year": "1999"}, {"prefix": "../x"}, {"batch": "2024-09-1\n"}, {"month": "09\n"},
        {"year": "２０２４"},
    ],
)  # fmt: skip
def test_an_argument_of_another_form_is_refused(job: Any, change: dict[str, str]) -> None:
    with pytest.raises(job.LoadFailed):
        job.checked(GIVEN | change)
