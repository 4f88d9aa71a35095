"""`make promote-check`: the whole road to an account, run against an engine of its own through plain Terraform.

    python -m sluice.promotion.check [--all] [--json]

Each step runs the commands that docs/promotion.md names, as a user does, with AWS_ENDPOINT_URL in the place of AWS. The
account makes the bootstrap; what follows runs in the sessions of its two roles, which a job of the repository opens
with its token, and the engine enforces their policies and boundaries. A step that fails ends the run. STEPS is the
list; a step is a name and a function that says in one line what was shown.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sluice import console
from sluice.console import SluiceError
from sluice.paths import HOST_ENV, ROOT
from sluice.promotion.rehearsal import (
    ACCOUNT,
    DEADLINE,
    ENV,
    OTHER_ACCOUNT,
    REGION,
    REPOSITORY,
    Rehearsal,
    expect,
    token,
)
from sluice.tables import layout

CANARY = "settle"  # runs without work of its own
# Of `make e2e TARGET=aws`, the part that is asked here.
END_TO_END = "tests/e2e/core/test_core_path.py::test_every_format_gives_the_same_rows"
REPORT = layout("step", "result", "seconds", "shown:fold")


def bootstrap(road: Rehearsal) -> str:
    """Makes bucket and roles; the second run changes nothing."""
    early = road.sluice("plan", "--var-file", str(road.var_file), code=1)
    expect("sluice bootstrap" in early, f"before the bootstrap, plan says: {early}")
    words = ("--repository", REPOSITORY, "--var-file", str(road.var_file), "--json")
    made = json.loads(road.sluice("bootstrap", *words))
    again = json.loads(road.sluice("bootstrap", *words))
    expect(again["changes"] == [], f"the second run changed {again['changes']}")
    road.write_variables(permissions_boundary_arn=made["outputs"]["permissions_boundary_arn"])
    road.roles = {name: made["outputs"][f"{name}_role_arn"] for name in ("plan", "apply")}
    return f"{len(made['changes'])} resources, state in {made['outputs']['state_bucket']}; a second run changes nothing"


def roles(road: Rehearsal) -> str:
    """Who is no job of this environment gets no role; the plan role changes nothing, apply makes no role of its own."""
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    attempts: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "another repository": (
            road.client("sts").assume_role_with_web_identity,
            {"RoleArn": road.roles["apply"], "RoleSessionName": "else", "WebIdentityToken": token("someone/else")},
        ),
        "plan makes a queue": (road.client("sqs", "plan").create_queue, {"QueueName": f"sluice-{ENV}-else"}),
        "apply makes a role without the boundary": (
            road.client("iam", "deploy").create_role,
            {"RoleName": f"sluice-{ENV}-else", "AssumeRolePolicyDocument": trust},
        ),
    }
    for name, (call, parameters) in attempts.items():
        try:
            call(**parameters)
        except ClientError as error:
            expect(error.response["Error"]["Code"] == "AccessDenied", f"{name}: {error}")
        else:
            raise SluiceError(f"{name}: it was allowed")
    return f"{', '.join(attempts)}: refused"


def plan(road: Rehearsal) -> str:
    """Stores a plan with its record; the account is ready for it."""
    found = road.plan()
    findings = json.loads(road.sluice("preflight", "--var-file", str(road.var_file), "--json"))["findings"]
    return f"{len(found['changes'])} changes; preflight: {', '.join(one['check'] for one in findings)} hold"


def refusals(road: Rehearsal) -> str:
    """Each wrong place is one line, and nothing is changed."""
    before = road.client("sqs").list_queues().get("QueueUrls", [])
    text = road.var_file.read_text()
    elsewhere = road.endpoint.replace("127.0.0.1", "127.0.0.2")
    shown = []
    for name, words, code, shell, said in (
        ("account", (), 2, {"AWS_ACCESS_KEY_ID": OTHER_ACCOUNT}, f"the credentials are of {OTHER_ACCOUNT}"),
        ("region", (), 1, {"AWS_REGION": "eu-west-1"}, "this shell's region is eu-west-1"),
        ("environment", ("--env", "prod", "--plan", str(road.home / "accounts" / ENV / "plan.tfplan")), 2, {}, "prod"),
        ("confirm", ("--confirm", "prod"), 2, {}, "--confirm says prod"),
        ("place", (), 2, {"AWS_ENDPOINT_URL": elsewhere, "SLUICE_ACCOUNT_ENDPOINT": elsewhere}, "this plan is for"),
    ):  # fmt: skip
        line = road.sluice("deploy", "--untested", *words, code=code, **shell).strip()
        expect(said in line and "\n" not in line, f"{name}: {line}")
        shown.append(name)
    road.var_file.write_text(text + "# changed\n")
    line = road.sluice("deploy", "--untested", code=1).strip()
    expect("check.tfvars has changed" in line, line)
    road.var_file.write_text(text)
    expect(road.client("sqs").list_queues().get("QueueUrls", []) == before, "a refused deployment made queues")
    return f"{', '.join(shown)} and a stale plan: one line each, nothing changed"


def deploy(road: Rehearsal) -> str:
    """Applies the plan; its file is then gone."""
    done = road.deploy()
    expect(done["added"] > 0, f"deploy added {done['added']}")
    gone = road.sluice("deploy", "--untested", code=2)
    expect("there is no plan" in gone, gone)
    return f"{done['added']} resources in {done['seconds']:.0f} s; the plan is used up"


def smoke(road: Rehearsal) -> str:
    """A few objects go through what is deployed; every row is accounted for, and they are removed."""
    found = json.loads(road.sluice("smoke", "--json"))
    expect(found["ok"] is True, f"smoke: {found}")
    return f"{len(found['checks'])} checks in {found['seconds']:.0f} s"


def end_to_end(road: Rehearsal) -> str:
    """Tests of `make e2e TARGET=aws` are asked of what is deployed, and leave nothing there; prod is refused."""
    command = [str(HOST_ENV / "bin/python"), "-m", "pytest", "-q", "-n", "0", END_TO_END]

    def ask(env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=road.environment(TARGET="aws", ENV=env), cwd=ROOT, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip

    refused = ask("prod")
    expect(refused.returncode != 0 and "not for prod" in refused.stdout + refused.stderr, "prod was not refused")
    done = ask(ENV)
    said = (done.stdout.strip().splitlines() or ["no output"])[-1]
    expect(done.returncode == 0, f"the tests ended with {done.returncode}: {said}")
    for bucket in ("bronze", "silver", "quarantine"):
        left = road.client("s3").list_objects_v2(Bucket=f"sluice-{ENV}-{bucket}-{ACCOUNT}").get("Contents", [])
        expect(left == [], f"the tests left {left[:1]} in {bucket}")
    return f"{said}; nothing is left in the buckets"


def change(road: Rehearsal) -> str:
    """A changed variable is planned, and nothing else is deployed."""
    road.write_variables(log_retention_days=14)
    planned = road.plan()["changes"]
    groups = [one for one in planned if one["attributes"] == ["retention_in_days"]]
    expect(len(planned) == len(groups) > 0, f"planned: {planned}")
    done = road.deploy()
    expect((done["added"], done["changed"], done["removed"]) == (0, len(planned), 0), f"deployed: {done}")
    expect(road.plan()["changes"] == [], "the next plan has changes")
    return f"{len(planned)} log groups changed, the next plan is empty"


def drift(road: Rehearsal) -> str:
    """What was changed by hand is named, and the next deployment sets it back."""
    words = ("--var-file", str(road.var_file), "--json")
    expect(json.loads(road.sluice("drift", *words))["drift"] == [], "there is drift after a deployment")
    group = f"/aws/lambda/sluice-{ENV}-ingest"
    road.client("logs").put_retention_policy(logGroupName=group, retentionInDays=1)
    shell = road.environment(**road.session("drift"))
    done = subprocess.run(road.command("drift", *words), env=shell, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["drift"]
    expect(done.returncode == 1 and len(found) == 1, f"drift ended with {done.returncode}: {found}")
    expect(found[0]["attributes"] == ["retention_in_days"], f"drift: {found}")
    road.plan()
    expect(road.deploy()["changed"] == 1, "the deployment did not set it back")
    expect(json.loads(road.sluice("drift", *words))["drift"] == [], "there is drift after the repair")
    return f"{found[0]['address']}: retention_in_days; set back by a deployment"


def canary(road: Rehearsal) -> str:
    """A version that fails is put back by its alarm; one that works comes into service, and goes back when asked to."""
    client, alarms = road.client("lambda"), road.client("cloudwatch")
    name, alarm = f"sluice-{ENV}-{CANARY}", f"sluice-{ENV}-{CANARY}-errors"
    before = _alias(client, name)["FunctionVersion"]
    broken = _publish(
        client, name, ZipFile=_zip("core/settle/handler.py", "def handler(*_):\n    raise OSError('broken')\n")
    )
    with subprocess.Popen(
        road.command("shift", "--function", CANARY, "--steps", "50,100", "--minutes", "5"),
        env=road.environment(**road.session("shift")),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as shifting:  # fmt: skip
        while shifting.poll() is None:
            client.invoke(FunctionName=name, Qualifier="live", Payload=b"{}")
            time.sleep(0.2)
        said = (shifting.stderr.read() if shifting.stderr else "").strip().splitlines()[-1]
    expect(shifting.returncode == 1 and f"{alarm} is in ALARM at 50 %: back at {CANARY} {before}" in said, said)
    expect(_alias(client, name)["FunctionVersion"] == before, "the alias is not back")
    for _ in range(5):
        expect("FunctionError" not in client.invoke(FunctionName=name, Qualifier="live", Payload=b"{}"), "it fails")
    artifacts = {"S3Bucket": f"sluice-{ENV}-artifacts-{ACCOUNT}", "S3Key": f"functions/{name}.zip"}
    works = _publish(client, name, **artifacts)
    alarms.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="the failing version is out of service")
    road.sluice("shift", "--function", CANARY, "--steps", "50,100", "--minutes", "0")
    expect(_alias(client, name)["FunctionVersion"] == works, "the version that works is not in service")
    for again in (1, 0):
        moved = json.loads(road.sluice("rollback", "--json"))["moved"]
        expect(len(moved) == again, f"rollback moved {moved}")
    expect(_alias(client, name)["FunctionVersion"] == before, "the rollback left another version")
    return (
        f"version {broken} of {CANARY} failed and was put back; version {works} came into service; rollback to {before}"
    )


def _alias(client: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get_alias(FunctionName=name, Name="live")
    expect(not found.get("RoutingConfig"), f"two versions are in service: {found}")
    return found


def _publish(client: Any, name: str, **code: Any) -> str:
    client.update_function_code(FunctionName=name, **code)
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    return str(client.publish_version(FunctionName=name)["Version"])


def _zip(name: str, text: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as made:
        made.writestr(name, text)
    return body.getvalue()


def destroy(road: Rehearsal) -> str:
    """Removes the stack and leaves the state's bucket."""
    done = json.loads(road.sluice("destroy", "--var-file", str(road.var_file), "--yes", "--json"))
    expect(done["removed"] > 0, f"destroy removed {done['removed']}")
    left = [bucket["Name"] for bucket in road.client("s3").list_buckets()["Buckets"]]
    expect(left == [f"sluice-{ENV}-state-{ACCOUNT}-{REGION}"], f"left: {left}")
    return f"{done['removed']} resources; the state's bucket stays"


def recreate(road: Rehearsal) -> str:
    """A deployment that breaks off, because a name has an owner already, is continued by the next plan."""
    planned = len(road.plan()["changes"])
    group = f"/aws/lambda/sluice-{ENV}-settle"
    road.client("logs").create_log_group(logGroupName=group)
    failed = road.sluice("deploy", "--untested", code=1)
    expect("already exists" in failed and "what was made is in the state" in failed, failed)
    stale = road.sluice("deploy", "--untested", code=1)
    expect("the plan is stale" in stale, stale)
    road.client("logs").delete_log_group(logGroupName=group)
    rest = len(road.plan()["changes"])
    expect(0 < rest < planned, f"{rest} of {planned} changes are left")
    road.deploy()
    expect(road.plan()["changes"] == [], "the next plan has changes")
    return f"broke off after {planned - rest} of {planned} changes; the next plan and deployment did the rest"


@dataclass(frozen=True)
class Step:
    """`run` says in one line what was shown, or raises SluiceError."""

    name: str
    run: Callable[[Rehearsal], str]


STEPS = (
    Step("bootstrap", bootstrap), Step("roles", roles), Step("plan", plan), Step("refusals", refusals),
    Step("deploy", deploy), Step("smoke", smoke), Step("e2e of an account", end_to_end), Step("change", change),
    Step("drift", drift), Step("gradual shift", canary), Step("destroy", destroy),
    Step("re-create", recreate), Step("smoke again", smoke), Step("destroy again", destroy),
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One step that was run."""

    step: str
    passed: bool
    seconds: float
    shown: str


def run(road: Rehearsal, steps: tuple[Step, ...] = STEPS, say: Callable[[str], None] = console.note) -> list[Result]:
    """Runs the steps in their order, up to the first that fails."""
    results: list[Result] = []
    for step in steps:
        say(f"{step.name} ...")
        began = time.monotonic()
        try:
            shown, passed = step.run(road), True
        except (SluiceError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
            shown, passed = (
                f"{type(error).__name__}: {error}" if not isinstance(error, SluiceError) else str(error),
                False,
            )
        results.append(Result(step.name, passed, round(time.monotonic() - began, 1), shown))
        if not passed:
            break
    return results


def main(words: list[str]) -> int:
    """Starts an engine, runs the steps, prints the report. 0 when each step passed."""
    from sluice import engine
    from sluice.engine.instance import Instance

    with tempfile.TemporaryDirectory(prefix="sluice-road-") as folder:
        instance = Instance(Path(folder) / "engine")
        info = engine.up(instance, empty=True, env={"SLUICE_IAM": "enforce"})
        try:
            road = Rehearsal(Path(folder), info.endpoint_url, "--all" in words)
            road.write_variables(
                region=REGION, bucket_suffix=ACCOUNT, allowed_account_ids=[ACCOUNT], log_retention_days=7,
                versioned_functions=True, observability_enabled=True,
            )  # fmt: skip
            results = run(road)
        finally:
            engine.down(instance, volumes=True)
    if "--json" in words:
        console.print_json({"steps": [asdict(one) for one in results]})
    else:
        console.print_table(
            REPORT, [(one.step, "passed" if one.passed else "FAILED", one.seconds, one.shown) for one in results]
        )
    return 0 if len(results) == len(STEPS) and all(one.passed for one in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
