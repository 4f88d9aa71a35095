"""Every command of the README and of these pages is run, or named here with what runs it instead."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest

from checkins.request import prefix_of
from checkins.run_log import Log
from fixtures import checkins, formats, shipping
from sluice.branches.checkins.reader import submit
from sluice.engine import EMBEDDED
from sluice.engine.instance import Instance
from sluice.paths import ROOT
from sluice.pipeline.stack import Stack
from sluice_pipeline.ledger.items import State
from sluice_pipeline.objects.failures import Failure
from sluice_pipeline.objects.identity import ObjectRef
from tests.support import branches
from tests.support.pipeline import Pipeline, Put, until
from tests.support.quality import Quality, flights
from tests.support.session import RUNNING, TEST_VARS, kind
from tests.support.taxi import any_month, served

DOCUMENTS = ("README.md", "docs/operations.md", "docs/api.md", "docs/checkins.md", "docs/warehouse.md", "docs/lake.md",
             "docs/quality.md", "docs/taxi.md")  # fmt: skip
DONE = ("load", "succeeded")
QUICK_START = "test_quick_start.py runs it as printed, from a copy of the checkout"
PUBLIC_FILE = "needs a network: tests/e2e/taxi/test_taxi.py loads files that it serves itself"
PROMOTE_CHECK = "make promote-check runs the verb; its parts: tests/unit/promotion"
BY_HAND = "test_terraform_by_hand_shares_the_state_of_the_deployment"
# A command that a test session cannot run inside itself, and where it is run instead.
ELSEWHERE = {
    "make up deploy": QUICK_START,
    "sluice check shipments examples/my.csv": QUICK_START,
    "sluice put examples/my.csv shipments --wait": QUICK_START,
    "sluice runs my.csv": QUICK_START,
    "sluice quarantine show my.csv": QUICK_START,
    'sluice query "SELECT carrier, count(*) AS parcels FROM shipments GROUP BY carrier ORDER BY carrier"': QUICK_START,
    "sluice ls shipments": QUICK_START,
    "make demo": "test_demo.py runs `sluice demo`, which is all the target does after set-up",
    "make test": "is what runs this file",
    "make e2e": "is what runs this file",
    "make up": "conftest starts the engine with the same function; test_engine_lifecycle.py has its cases",
    "docker compose up -d --wait": "test_docker_engine.py runs it and takes over what it started",
    "make up ENGINE=docker": "test_docker_engine.py calls the same function; test_docker_faults.py runs the verb",
    "make demo ENGINE=docker": "test_demo.py, when the session runs on Docker",
    "make e2e ENGINE=docker": "is what runs this file, when the session runs on Docker",
    "make down": "conftest stops the engine with the same function",
    "make deploy": "conftest deploys with the same function",
    "make account ENV=prod": PROMOTE_CHECK,
    "make plan TARGET=aws ENV=prod": f"{PROMOTE_CHECK}; tests/infra plans prod without an account",
    "make deploy TARGET=aws ENV=prod": PROMOTE_CHECK,
    "sluice smoke --target aws --env prod": PROMOTE_CHECK,
    "awslocal s3 ls": "needs the AWS CLI: test_checkouts.py runs the script with another",
    "sluice psql": "waits for SQL: test_login.py has what psql is called with",
    'psql "$SLUICE_WAREHOUSE_DSN" -c "SELECT count(*) FROM silver.shipments"': "test_reader_login.py, with psycopg",
    'aws secretsmanager get-secret-value --secret-id "$(sluice outputs --target aws --env prod --json'
    ' | jq -r .warehouse_secret_arns.reader)"': "needs an account",
    "aws s3 ls": "any client the reader has; test_env_serves_any_client asks with boto3",
    "tflocal apply -var-file=../envs/dev.tfvars": BY_HAND,
    "tflocal plan -detailed-exitcode -var-file=../envs/dev.tfvars": BY_HAND,
    "cd infra/stack": BY_HAND,
    'eval "$(.sluice/host/bin/sluice env)"': "run before each of the others here",
    "sluice status --watch": "runs until ctrl-C: test_status.py",
    "sluice dev": "runs until ctrl-C, and serves changed files: test_dev.py, in a checkout of its own",
    "sluice deploy --function ingest": "its variables are not this session's: test_dev.py, in a checkout of its own",
    "make scaffold DATASET=orders SAMPLE=orders.csv": "tests/e2e/lake/test_scaffold.py, in a checkout of its own",
    "sluice compact": "would compact all dates of all suites; one date is compacted here, and in test_compaction.py",
    "sluice compact --json": "as `sluice compact`: tests/unit/lake/test_compact_verb.py has what it prints",
    'sluice compact --show "$NAME"': "tests/unit/lake/test_compact_verb.py; a compaction takes Spark minutes",
    "sluice taxi run 2024-09": PUBLIC_FILE,
    "sluice taxi backfill --from 2024-07 --to 2024-09": PUBLIC_FILE,
    "sluice taxi logs 2024-09-1": 'docs/operations.md has it for "$ATTEMPT"',
    "make demo-taxi": "tests/e2e/taxi/test_taxi.py runs `sluice taxi demo`, which is all that the target does",
    "sluice bench bulk --bulk-mb 16": "measures for minutes on an engine of its own: tests/unit/host/test_bench*.py",
    "make soak HOURS=1": "takes an hour: tests/unit/host/test_bench_soak.py has its parts",
    'aws s3 cp rows.jsonl "s3://$BUCKET/$KEY"': "test_delivery.py uploads a missing object again, with boto3",
}


# Exit codes that say what became of an object, and not that the command is wrong.
CODES = {
    'sluice quality show "$OBJECT"': 1,
    'sluice quality run "$OBJECT"': 1,
    'sluice taxi redrive "$ATTEMPT"': 1,  # it has not failed
}


def commands(document: str) -> Iterator[str]:
    for block in re.findall(r"```bash\n(.*?)```", (ROOT / document).read_text(), re.DOTALL):
        for line in block.splitlines():
            command = re.sub(r"(^|\s+)#\s.*$", "", line).strip()
            if command:
                yield command


def named() -> dict[str, list[str]]:
    """Each command, and the documents that have it."""
    found: dict[str, list[str]] = {}
    for document in DOCUMENTS:
        for command in dict.fromkeys(commands(document)):
            found.setdefault(command, []).append(document)
    return found


# A command that several documents have is run once.
RUN_HERE = [
    pytest.param(command, id=f"{', '.join(documents)}: {command}")
    for command, documents in named().items()
    if command not in ELSEWHERE
]


@cache
def environment(home: str) -> dict[str, str]:
    """A reader's: hardly anything, and what `eval "$(sluice env)"` adds to it."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "LANG", "SLUICE_HOME") if name in os.environ}
    made = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", 'eval "$(.sluice/host/bin/sluice env)"\nenv -0'],
        cwd=ROOT,
        env=kept | ({} if RUNNING else {"SLUICE_HOME": home}),
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return dict(entry.split("=", 1) for entry in made.stdout.split("\0") if entry)


def shell(instance: Instance, script: str, timeout: float = 540, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a line as a reader would who has said `eval "$(sluice env)"`."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment(str(instance.home)) | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def broken(pipe: Pipeline) -> Put:
    """An object with a rejected row: what the documents call $OBJECT."""
    [bad, *good] = shipping.records("shipments", 90, 40)
    put = pipe.put("shipments", formats.jsonl([bad | {"weight_kg": -5.0}, *good]))
    pipe.wait(put)
    return put


@pytest.fixture
def withheld(pipe: Pipeline) -> Put:
    """What the documents call $OBJECT where they are about the quality gate."""
    quality = Quality(pipe)
    put = quality.put(flights(3, distance=0))
    assert quality.ended(put)["state"] == "withheld"
    return put


@pytest.fixture
def dead_letter_message(pipe: Pipeline, broken: Put) -> Iterator[str]:
    """A message about that object in both dead-letter queues, gone at the end; the message id of the first."""
    item = pipe.entry(broken).item
    chunk = json.loads(broken.message().to_json()) | {"run": int(item["run"])}
    ref = ObjectRef(broken.ref.bucket, broken.ref.key, broken.ref.version_id, broken.ref.etag, broken.ref.size)
    record = {"schema": "sluice.failed-object/1", "object": asdict(ref), "reason": "unreadable", "detail": "a test's"}
    url = pipe.stack["chunk_dlq_url"]
    sent = pipe.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(chunk))
    pipe.sqs.send_message(QueueUrl=pipe.stack["ingest_dlq_url"], MessageBody=json.dumps(record))
    yield sent["MessageId"]
    until("what was redriven", lambda: pipe.depth() == 0)
    for queue in ("chunk_dlq_url", "ingest_dlq_url"):
        assert len(pipe.receive_messages_about(broken, output=queue)) <= 1, "the message, unless the command moved it"


@pytest.fixture
def checkin_run(pipe: Pipeline) -> str:
    """A run of a file of the day that the documents name."""
    day = "2026-03-01"
    file = pipe.put_key(
        f"{prefix_of('checkins', day)}{pipe.run}.csv", checkins.as_csv(checkins.records(pipe.run, 1, 5))
    )
    names = [one["name"] for one in submit(pipe.stack, {"day": day})["submitted"] if one["key"] == file.ref.key]
    log = Log(pipe.dynamodb, pipe.stack["checkin_log_table"])
    until("the run", lambda: [item for item in log.states(names[0]) if (item["state"], item["status"]) == DONE])
    return names[0]


@pytest.fixture
def taxi_attempt(pipe: Pipeline, instance: Instance, tmp_path: Path) -> Iterator[str]:
    """An attempt at a month of trips that is not published."""
    if kind() != EMBEDDED:
        pytest.skip("the engine's container runs no Glue job, so no attempt gets anywhere")
    with served(pipe, instance, tmp_path) as taxi:
        batch = taxi.start(any_month())
        assert taxi.ended(batch).outcome == "unpublished"
        yield batch
        pipe.stack.client("scheduler").delete_schedule(GroupName=pipe.stack["taxi_schedule_group"], Name=batch)


def test_no_command_stands_here_that_the_documents_have_not() -> None:
    assert set(ELSEWHERE) <= {command for document in DOCUMENTS for command in commands(document)}
    assert RUN_HERE


@pytest.mark.timeout(600, func_only=True)  # a compaction of what all suites have left takes Spark minutes
@pytest.mark.parametrize("command", RUN_HERE)
def test_a_command_of_the_documents_works(
    request: pytest.FixtureRequest, stack: Stack, instance: Instance, command: str
) -> None:
    variables = {}
    if "$OBJECT" in command:
        about = "withheld" if "sluice quality" in command else "broken"
        variables["OBJECT"] = request.getfixturevalue(about).object_id
    if "$KEY" in command:
        variables["KEY"] = request.getfixturevalue("broken").ref.key
    if "sluice checkins" in command:
        variables["RUN"] = request.getfixturevalue("checkin_run")
    if " dlq " in command:
        variables["MESSAGE"] = request.getfixturevalue("dead_letter_message")
    if "$ATTEMPT" in command:
        variables["ATTEMPT"] = request.getfixturevalue("taxi_attempt")
    done = shell(instance, command, **variables)
    assert done.returncode == CODES.get(command, 0), f"{command}\n{done.stdout}\n{done.stderr}"
    assert done.stdout.strip() or done.stderr.strip() or " logs " in command  # a function that was idle has none


def test_every_link_of_the_operations_page_leads_somewhere() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).strip().replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings
    for target in re.findall(r"\]\((?!#|https?:)([^)#]+)", text):
        assert (ROOT / "docs" / target).exists(), target


def test_every_alarm_state_reason_and_notice_has_a_section(stack: Stack) -> None:
    text = (ROOT / "docs/operations.md").read_text()
    prefix = stack["ingest_function"].removesuffix("ingest")
    functions = branches.functions(stack)
    for name in stack.outputs.get("alarm_names") or []:
        alarm = name.removeprefix(prefix)
        ends = ("errors", "throttles")
        shown = next((f"<function>-{end}" for end in ends if alarm.removesuffix(f"-{end}") in functions), alarm)
        if alarm.removesuffix("-table-throttles") in branches.tables(stack):
            shown = "<table>-table-throttles"
        elif alarm.endswith("-queue-age") and alarm != "chunk-queue-age":
            shown = "<queue>-queue-age"
        assert f"`{shown}`" in text, alarm
    kinds = branches.notices(stack)
    assert kinds >= {"dead.letter", "object.failed", "object.missing"}
    reasons = set(Failure) - {Failure.MISSING_VERSION}  # the reason of `missing`, which has a section of its own
    assert [word for word in (*State, *sorted(reasons), *sorted(kinds)) if f"`{word}`" not in text] == []


def test_env_serves_any_client(stack: Stack, instance: Instance) -> None:
    script = "import boto3; print([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']])"
    done = shell(instance, f'python -c "{script}"')
    assert done.returncode == 0, done.stderr
    assert stack["bronze_bucket"] in done.stdout


def test_terraform_by_hand_shares_the_state_of_the_deployment(stack: Stack, instance: Instance) -> None:
    del stack  # deployed
    given = {} if RUNNING else TEST_VARS
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    session = " ".join(f"-var {shlex.quote(f'{name}={text}')}" for name, text in texts.items())
    apply, plan = (command for command in commands("README.md") if command.startswith("tflocal"))
    # The apply has read all that exists; the plan compares the configuration with what it wrote.
    done = shell(instance, f"cd infra/stack\n{apply} -auto-approve {session}\n{plan} -refresh=false {session}")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Resources: 0 added, 0 changed, 0 destroyed." in done.stdout
    assert "No changes." in done.stdout
