"""Python shell jobs of Glue: what runs, how it ends and what it leaves behind."""

import io
import json
import uuid
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import ROLE, Engine, call, eventually
from tests.support.glue_jobs import GlueJobs
from tests.support.state_keeper import Keeper

ENDLESS = "import time\nprint('begun')\nwhile True:\n    time.sleep(0.1)\n"


@pytest.fixture
def jobs(engine: Engine) -> GlueJobs:
    return GlueJobs(engine)


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def test_a_script_runs_with_its_arguments_and_its_output_is_logged(jobs: GlueJobs) -> None:
    script = """
import os, sys
from awsglue.utils import getResolvedOptions
import boto3, pandas, pyarrow
found = getResolvedOptions(sys.argv, ["who", "sign", "fixed"])
print(found["who"], found["sign"], found["fixed"], "DEVELOPER_SECRET" in os.environ)
print("to stderr", file=sys.stderr)
boto3.client("s3").put_object(Bucket=found["who"], Key="made", Body=b"1")
"""
    run = jobs.ran(
        script, {"--who": jobs.bucket, "--sign": "-5", "--fixed": "no"}, DefaultArguments={"--who": "default"},
        NonOverridableArguments={"--fixed": "yes"},
    )  # fmt: skip
    assert (run["JobRunState"], run.get("ErrorMessage")) == ("SUCCEEDED", None)
    assert jobs.log(run) == [f"{jobs.bucket} -5 yes False"]
    assert jobs.log(run, "error") == ["to stderr"]
    assert jobs.s3.get_object(Bucket=jobs.bucket, Key="made")["Body"].read() == b"1"
    assert (run["LogGroupName"], run["MaxCapacity"], run["Attempt"]) == ("/aws-glue/python-jobs", 0.0625, 0)
    assert {"StartedOn", "CompletedOn", "ExecutionTime", "DPUSeconds"} <= set(run)


@pytest.mark.parametrize(
    ("script", "message", "printed"),
    [
        ("x = 1\nraise ValueError('boom')", "ValueError: boom", "ValueError: boom"),
        ("import sys\nsys.exit(3)", "SystemExit: 3", ""),
        ("import os\nos._exit(3)", "Command failed with exit code 3", ""),
        ("import os\nos.kill(os.getpid(), 11)", "Command failed with exit code 139", ""),
        ("import nosuch", "ModuleNotFoundError: No module named 'nosuch'", "ModuleNotFoundError"),
        ("def f(:", "SyntaxError: invalid syntax", "SyntaxError"),
        ("from awsglue.utils import getResolvedOptions\ngetResolvedOptions(['x'], ['a'])",
         "GlueArgumentError: the following arguments are required: --a", "GlueArgumentError"),
    ],
)  # fmt: skip
def test_a_script_that_fails_is_a_run_that_failed(jobs: GlueJobs, script: str, message: str, printed: str) -> None:
    run = jobs.ran(script)
    assert run["JobRunState"] == "FAILED"
    assert run["ErrorMessage"].startswith(message)
    assert printed in "\n".join(jobs.log(run, "error"))


def test_leaving_with_nothing_or_zero_is_success(jobs: GlueJobs) -> None:
    assert jobs.ran("import sys\nsys.exit(0)")["JobRunState"] == "SUCCEEDED"
    assert jobs.ran("")["JobRunState"] == "SUCCEEDED"


def test_a_script_that_is_not_there_says_so(jobs: GlueJobs) -> None:
    job = jobs.make("", Name=f"gone-{jobs.bucket}")
    jobs.s3.delete_object(Bucket=jobs.bucket, Key=f"{job}.py")
    run = jobs.end(job, jobs.start(job))
    assert run["JobRunState"] == "FAILED"
    assert run["ErrorMessage"].startswith(
        f"LAUNCH ERROR | Error downloading from S3 for bucket: {jobs.bucket}, key: {job}.py."
    )


def test_a_run_beyond_its_memory_ends(jobs: GlueJobs) -> None:
    run = jobs.ran("held = []\nwhile True:\n    held.append(bytearray(20_000_000))\n")
    assert (run["JobRunState"], run["ErrorMessage"]) == ("FAILED", "Command Failed due to Out of Memory")


def test_a_stopped_run_is_stopped_and_cannot_be_stopped_again(jobs: GlueJobs) -> None:
    job = jobs.make(ENDLESS)
    name = jobs.start(job)
    eventually(lambda: jobs.log(jobs.run(job, name)) == ["begun"], 60)
    answer = jobs.glue.batch_stop_job_run(JobName=job, JobRunIds=[name, "jr_none"])
    assert answer["SuccessfulSubmissions"] == [{"JobName": job, "JobRunId": name}]
    assert [one["ErrorDetail"]["ErrorCode"] for one in answer["Errors"]] == ["EntityNotFoundException"]
    assert jobs.end(job, name)["JobRunState"] == "STOPPED"
    again = jobs.glue.batch_stop_job_run(JobName=job, JobRunIds=[name])
    assert (again["SuccessfulSubmissions"], len(again["Errors"])) == ([], 1)


def test_more_runs_than_allowed_are_refused_or_wait(jobs: GlueJobs) -> None:
    job = jobs.make(ENDLESS)
    first = jobs.start(job)
    assert refused(jobs.glue.start_job_run, JobName=job) == (
        "ConcurrentRunsExceededException",
        f"Concurrent runs exceeded for {job}",
    )
    waiting = jobs.start(job, JobRunQueuingEnabled=True)
    assert jobs.state(job, waiting) == "WAITING"
    jobs.glue.batch_stop_job_run(JobName=job, JobRunIds=[first])
    eventually(lambda: jobs.state(job, waiting) == "RUNNING", 30)
    jobs.glue.batch_stop_job_run(JobName=job, JobRunIds=[waiting])
    assert [jobs.end(job, one)["JobRunState"] for one in (first, waiting)] == ["STOPPED", "STOPPED"]


def test_a_failed_run_is_tried_again(jobs: GlueJobs) -> None:
    queue = jobs.events()
    job = jobs.make("raise ValueError('again')", MaxRetries=2)
    name = jobs.start(job)
    names = [name, f"{name}_attempt_1", f"{name}_attempt_2"]

    def ended() -> bool:
        runs = jobs.glue.get_job_runs(JobName=job)["JobRuns"]
        return [run["Id"] for run in reversed(runs) if run["JobRunState"] == "FAILED"] == names

    eventually(ended, 60)
    assert [run["Attempt"] for run in jobs.glue.get_job_runs(JobName=job)["JobRuns"]] == [2, 1, 0]
    assert jobs.run(job, names[1])["PreviousRunId"] == name
    seen: list[Any] = []
    eventually(lambda: seen.extend(json.loads(m["Body"]) for m in queue.receive()) or len(seen) >= 3, 30)
    details = [event["detail"] for event in seen if event["detail"]["jobName"] == job]
    assert details == [
        {"jobName": job, "severity": "ERROR", "state": "FAILED", "jobRunId": one, "message": "ValueError: again"}
        for one in names
    ]


def test_modules_come_from_files_and_wheels_in_s3(jobs: GlueJobs) -> None:
    single = jobs.put("lib/single.py", "value = 1")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("packed.py", "value = 2")
    packed = jobs.put("lib/packed.zip", buffer.getvalue())
    wheel = jobs.put("lib/tiny_wheel-1.0-py3-none-any.whl", tiny_wheel())
    script = "import single, packed, tiny_wheel\nprint(single.value, packed.value, tiny_wheel.value)"
    arguments = {"--extra-py-files": f"{single},{packed}", "--additional-python-modules": wheel}
    run = jobs.ran(script, arguments)
    assert (run["JobRunState"], run.get("ErrorMessage"), jobs.log(run)) == ("SUCCEEDED", None, ["1 2 3"])
    missing = jobs.ran(script, {"--additional-python-modules": f"{jobs.bucket}-nosuch==9.9.9",
                                "--python-modules-installer-option": "--no-index"})  # fmt: skip
    assert missing["JobRunState"] == "FAILED"
    assert missing["ErrorMessage"].startswith("LAUNCH ERROR | --additional-python-modules")


def tiny_wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tiny_wheel.py", "value = 3")
        place = "tiny_wheel-1.0.dist-info"
        archive.writestr(f"{place}/METADATA", "Metadata-Version: 2.1\nName: tiny-wheel\nVersion: 1.0\n")
        archive.writestr(
            f"{place}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{place}/RECORD", f"tiny_wheel.py,,\n{place}/METADATA,,\n{place}/WHEEL,,\n{place}/RECORD,,\n")
    return buffer.getvalue()


def test_definitions_are_checked_completed_and_listed(jobs: GlueJobs) -> None:
    job = jobs.make("", Tags={"team": jobs.bucket})
    found = jobs.glue.get_job(JobName=job)["Job"]
    assert (found["ExecutionProperty"], found["MaxRetries"], found["Timeout"]) == ({"MaxConcurrentRuns": 1}, 0, 2880)
    same = {"Name": job, "Role": ROLE, "Command": {key: found["Command"][key] for key in ("Name", "ScriptLocation")}}
    assert jobs.glue.create_job(**same)["Name"] == job
    code, message = refused(jobs.glue.create_job, **same, MaxRetries=1)
    assert (code, message) == (
        "IdempotentParameterMismatchException",
        f"Job with name: {job} already submitted with different configuration.",
    )
    jobs.glue.update_job(JobName=job, JobUpdate={"Role": ROLE, "Command": same["Command"], "MaxRetries": 3})
    assert jobs.glue.get_job(JobName=job)["Job"]["MaxRetries"] == 3
    assert job in jobs.glue.list_jobs(Tags={"team": jobs.bucket})["JobNames"]
    arn = f"arn:aws:glue:us-east-1:000000000000:job/{job}"
    assert jobs.glue.get_tags(ResourceArn=arn)["Tags"] == {"team": jobs.bucket}
    answer = jobs.glue.batch_get_jobs(JobNames=[job, "nosuch"])
    assert ([one["Name"] for one in answer["Jobs"]], answer["JobsNotFound"]) == ([job], ["nosuch"])
    jobs.glue.delete_job(JobName=job)
    jobs.glue.delete_job(JobName=job)
    assert refused(jobs.glue.get_job, JobName=job) == ("EntityNotFoundException", f"Job {job} not found.")
    assert refused(jobs.glue.start_job_run, JobName=job) == (
        "EntityNotFoundException",
        "Failed to start job run due to missing metadata",
    )


def test_a_role_that_glue_may_not_assume_runs_no_job(jobs: GlueJobs) -> None:
    iam, name = jobs.engine.client("iam"), f"r{uuid.uuid4().hex[:8]}"

    def trust(service: str) -> str:
        allowed = {"Effect": "Allow", "Principal": {"Service": [service]}, "Action": "sts:AssumeRole"}
        return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})

    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))["Role"]["Arn"]
    message = f"Role {arn} should be given assume role permissions for Glue Service."
    for role in (arn, name):
        assert refused(jobs.make, script="", Role=role) == ("InvalidInputException", message)
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust("glue.amazonaws.com"))
    job = jobs.make("", Role=name)
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust("ec2.amazonaws.com"))
    assert refused(jobs.glue.start_job_run, JobName=job) == ("InvalidInputException", message)
    update = {"Role": name, "Command": {"Name": "pythonshell", "ScriptLocation": f"s3://{jobs.bucket}/x"}}
    assert refused(jobs.glue.update_job, JobName=job, JobUpdate=update) == ("InvalidInputException", message)
    assert jobs.glue.get_job_runs(JobName=job)["JobRuns"] == []


def test_what_the_engine_cannot_do_is_refused(jobs: GlueJobs) -> None:
    place = jobs.put("x.py", "")

    def reason(**more: Any) -> str:
        wanted = {
            "Name": f"j{uuid.uuid4().hex}",
            "Role": ROLE,
            "Command": {"Name": "pythonshell", "ScriptLocation": place},
        }
        code, message = refused(jobs.glue.create_job, **(wanted | more))
        assert code == "InvalidInputException"
        return message

    assert "Connections are not supported" in reason(Connections={"Connections": ["c"]})
    assert "gluestreaming are not supported" in reason(Command={"Name": "gluestreaming", "ScriptLocation": place})
    assert "0.0625 or 1" in reason(MaxCapacity=2.0)
    assert "Please set both" in reason(Command={"Name": "glueetl", "ScriptLocation": place}, WorkerType="G.1X")
    assert "bookmarks" in reason(DefaultArguments={"--job-bookmark-option": "job-bookmark-enable"})
    old = jobs.ran("", kind="glueetl", GlueVersion="4.0", WorkerType="G.1X", NumberOfWorkers=2)
    assert (old["JobRunState"], "Glue version 4.0 has no interpreter here" in old["ErrorMessage"]) == ("FAILED", True)


def test_step_functions_waits_for_a_run_and_fails_with_it(jobs: GlueJobs, engine: Engine) -> None:
    states = engine.client("stepfunctions")

    def execute(script: str) -> Any:
        job = jobs.make(script)
        task = {
            "Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "End": True,
            "Parameters": {"JobName": job, "Arguments": {"--a": "1"}},
        }  # fmt: skip
        machine = states.create_state_machine(
            name=job, roleArn=ROLE, definition=json.dumps({"StartAt": "run", "States": {"run": task}})
        )["stateMachineArn"]
        execution = states.start_execution(stateMachineArn=machine)["executionArn"]
        eventually(lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING", 60)
        return states.describe_execution(executionArn=execution)

    good = execute("print(1)")
    assert (good["status"], json.loads(good["output"])["JobRunState"]) == ("SUCCEEDED", "SUCCEEDED")
    bad = execute("raise ValueError('boom')")
    assert (bad["status"], bad["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(bad["cause"])["ErrorMessage"] == "ValueError: boom"


def test_a_run_in_flight_has_failed_after_a_restart_and_jobs_remain(keeper: Keeper) -> None:
    jobs = GlueJobs(keeper.engine)
    job = jobs.make(ENDLESS, ExecutionProperty={"MaxConcurrentRuns": 2}, Tags={"a": "b"})
    done = jobs.make("print(1)")
    ended = jobs.end(done, jobs.start(done))
    name = jobs.start(job)
    eventually(lambda: jobs.log(jobs.run(job, name)) == ["begun"], 60)
    keeper.again()
    glue = keeper.client("glue")
    run = glue.get_job_run(JobName=job, RunId=name)["JobRun"]
    assert (run["JobRunState"], "the engine was stopped" in run["ErrorMessage"]) == ("FAILED", True)
    assert glue.get_job_run(JobName=done, RunId=ended["Id"])["JobRun"]["JobRunState"] == "SUCCEEDED"
    assert glue.get_tags(ResourceArn=f"arn:aws:glue:us-east-1:000000000000:job/{job}")["Tags"] == {"a": "b"}


def test_a_timeout_ends_a_run_and_is_not_tried_again(keeper: Keeper) -> None:
    keeper.engine.stop()
    keeper.engine = keeper.start(SLUICE_GLUE_MINUTE="1")
    jobs = GlueJobs(keeper.engine)
    queue = jobs.events()
    job = jobs.make(ENDLESS, Timeout=1, MaxRetries=1)
    name = jobs.start(job)
    run = jobs.end(job, name)
    assert (run["JobRunState"], run["ErrorMessage"]) == ("TIMEOUT", "Job run exceeded its timeout")
    messages: list[Any] = []
    eventually(lambda: messages.extend(queue.receive()) or messages, 30)
    assert json.loads(messages[0]["Body"])["detail"]["message"] == "Job run timed out"
    assert len(jobs.glue.get_job_runs(JobName=job)["JobRuns"]) == 1
    # Its process is gone, too.
    eventually(lambda: not keeper.engine.children(), 20)


def test_a_run_may_do_what_its_role_allows(keeper: Keeper) -> None:
    keeper.engine.stop()
    keeper.engine = keeper.start(SLUICE_IAM="enforce")
    jobs, iam = GlueJobs(keeper.engine), keeper.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    script = f"import boto3\nboto3.client('s3').put_object(Bucket='{jobs.bucket}', Key='x', Body=b'')"
    assert refused(jobs.make, script=script)[1].startswith(f"Role {ROLE} should be given")  # there is none
    first = jobs.ran(script, Role=role)
    assert (first["JobRunState"], first["ErrorMessage"].startswith("LAUNCH ERROR")) == ("FAILED", True)
    allowed = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{jobs.bucket}/*"}
    iam.put_role_policy(
        RoleName="reader", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    )
    second = jobs.ran(script, Role=role)
    assert second["JobRunState"] == "FAILED"
    assert "AccessDenied" in second["ErrorMessage"]
    assert (
        "assumed-role/reader/GlueJobRunnerSession is not authorized to perform: s3:PutObject" in second["ErrorMessage"]
    )
    assert jobs.log(second, "error") == []  # nor may it write logs
    allowed = {"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}
    iam.put_role_policy(
        RoleName="reader", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    )
    assert jobs.ran(script, Role=role)["JobRunState"] == "SUCCEEDED"
    status, record = call(keeper.engine, "GET", "roles")
    assert status == 200
    assert "s3:PutObject" in json.dumps(record)
