"""Runs Terraform with its machine-readable output, shows compact progress, and makes one line of its errors.

https://developer.hashicorp.com/terraform/internals/machine-readable-ui
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.console import FAILED, USAGE, SluiceError, progress
from sluice.terraform.settings import Workspace

REPORT_SECONDS = 10.0  # where no terminal shows a progress bar
Report = Callable[[str], None]
Cause = Callable[[str], str]
"""What the log of a function (its name) says of why it failed just now; empty when it says nothing."""
_INVOKED = ".aws_lambda_invocation."

# Summaries of errors that are the caller's input, not the deployment's failure.
_WRONG_INPUT = re.compile(
    r"Invalid value for (input )?variable|No value for required variable|Value for undeclared variable"
    r"|Failed to read variables file|Invalid variable|Unsupported attribute in variables"
)

# Terraform and its backend say it in the words of STS, S3 and the SDK.
_EXPIRED = re.compile(r"ExpiredToken|RequestExpired|token included in the request is expired|token has expired")
_LOCKED = re.compile(r"Who:\s*(\S+).*?Created:\s*([\d-]+ [\d:]+)", re.DOTALL)

_INVOCATION = re.compile(r"invoking Lambda Function \(([^)]+)\): (\{.*)", re.DOTALL)


@dataclass
class Run:
    """What one Terraform run said: planned and finished changes, errors, outputs."""

    verb: str
    planned: dict[str, str] = field(default_factory=dict)
    done: int = 0
    total: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Addresses of resources in the order in which they failed; Terraform says why at its end only."""
    functions: dict[str, str] = field(default_factory=dict)
    """Names of the functions that were seen, by address."""
    outputs: dict[str, Any] = field(default_factory=dict)
    other: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    returncode: int = 0

    def take(self, line: str) -> None:
        """Takes in one line of output."""
        try:
            event = json.loads(line)
            kind = event["type"]
        except (ValueError, KeyError, TypeError):
            if line.strip():
                self.other.append(line.rstrip())
            return
        if kind == "planned_change":
            change = event["change"]
            self.planned[change["resource"]["addr"]] = change["action"]
        elif kind in ("apply_complete", "refresh_complete"):
            self.done += kind == "apply_complete"
            hook = event.get("hook") or {}
            resource = hook.get("resource") or {}
            if resource.get("resource_type") == "aws_lambda_function":
                self.functions[resource["addr"]] = str(hook.get("id_value") or "")
        elif kind == "apply_errored":
            self.failed.append(event["hook"]["resource"]["addr"])
        elif kind == "diagnostic" and event["diagnostic"]["severity"] == "error":
            self.errors.append(event["diagnostic"])
        elif kind == "outputs":
            self.outputs = {name: entry.get("value") for name, entry in event["outputs"].items()}
        elif kind == "change_summary":
            self.summary = event["changes"]
            if self.summary.get("operation") == "plan":
                self.total = sum(int(self.summary.get(key, 0)) for key in ("add", "change", "remove", "import"))


def execute(
    space: Workspace,
    verb: str,
    arguments: list[str],
    report: Report,
    title: str,
    *,
    planned: Run | None = None,
    cause: Cause | None = None,
) -> Run:
    """Runs `terraform <verb> -json`. `planned`: the run that made the plan, where there was one.

    What fails is reported at once, with what its log says when it is a function: Terraform goes on with all that does
    not depend on it before it says why.

    Raises SluiceError: code 2 when variables are wrong, 1 for other errors.
    """
    run = Run(verb, total=planned.total if planned else 0, functions=dict(planned.functions) if planned else {})
    began = time.monotonic()
    command = [*space.command, verb, "-json", "-input=false", *arguments]
    with progress() as bar:
        task = bar.add_task(title, total=None)
        said = began
        for line in _lines(command, space, run):
            failures = len(run.failed)
            run.take(line)
            for address in run.failed[failures:]:
                report(failure(run, address, title, cause))
            bar.update(task, completed=run.done, total=run.total or None)
            if verb != "plan" and not sys.stderr.isatty() and run.total and time.monotonic() - said >= REPORT_SECONDS:
                said = time.monotonic()
                report(f"{title:<7} {run.done}/{run.total} resources, {said - began:.0f} s")
    run.seconds = time.monotonic() - began
    if run.errors or run.returncode not in (0, 2):
        raise error_of(run)
    return run


def failure(run: Run, address: str, title: str, cause: Cause | None) -> str:
    """One line about a resource that failed just now; of an invocation what the function says, the cause first."""
    module, invoked, name = address.rpartition(_INVOKED)
    function = run.functions.get(f"{module}.module.{name}.aws_lambda_function.this") if invoked else None
    said = cause(function) if function and cause else ""
    what = f"{said} in the function {function}" if said else f"{address} failed"
    return f"{title:<7} {what}; Terraform ends what it has begun"


def _lines(command: list[str], space: Workspace, run: Run) -> Iterator[str]:
    """Output lines of a command. An interrupt reaches Terraform once, so that it can finish what it has begun."""
    with subprocess.Popen(
        command,
        cwd=space.stack,
        env=space.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield from process.stdout
        except BaseException:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
        run.returncode = process.wait()


def error_of(run: Run) -> SluiceError:
    """The run's first error as one line, with how many more there are; what a function said is a cause of others."""
    if not run.errors:
        last = next((line for line in reversed(run.other) if line.strip(" ╷│╵")), f"exit code {run.returncode}")
        return SluiceError(f"terraform {run.verb} failed: {last.strip(' ╷│╵')}", FAILED)
    first = next((error for error in run.errors if _said_by_function(error)), run.errors[0])
    more = f" (and {len(run.errors) - 1} more)" if len(run.errors) > 1 else ""
    where = first.get("range") or {}
    in_variables = str(where.get("filename", "")).endswith((".tfvars", ".tfvars.json"))
    if _EXPIRED.search(f"{first['summary']} {first.get('detail')}"):
        return SluiceError(f"the AWS credentials have expired: get new ones ({one_line(first)}){more}")
    wrong_input = in_variables or bool(_WRONG_INPUT.search(first["summary"])) or "<value for var" in str(where)
    return SluiceError(one_line(first) + more, USAGE if wrong_input else FAILED)


def one_line(diagnostic: Mapping[str, Any]) -> str:
    """A diagnostic as one line: place, resource, what, and the first paragraph of why; of a function, its own words."""
    if said := _said_by_function(diagnostic):
        return said
    if "state lock" in str(diagnostic["summary"]) and (held := _LOCKED.search(str(diagnostic.get("detail")))):
        return f"{held[1]} has locked the state since {held[2]}"
    where = diagnostic.get("range") or {}
    place = ""
    if where.get("filename"):
        line = (where.get("start") or {}).get("line")
        place = f"{where['filename']}:{line}: " if line else f"{where['filename']}: "
    address = f"{diagnostic['address']}: " if diagnostic.get("address") else ""
    paragraphs = [" ".join(part.split()) for part in str(diagnostic.get("detail") or "").split("\n\n") if part.strip()]
    detail = f": {paragraphs[0]}" if paragraphs else ""
    return f"{place}{address}{' '.join(str(diagnostic['summary']).split())}{detail}"


def _said_by_function(diagnostic: Mapping[str, Any]) -> str:
    """The cause first, when a function that a deployment invokes has failed; empty for other diagnostics.

    Lambda answers with the error's message, its type and a stack trace:
    https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
    """
    text = " ".join(f"{diagnostic.get('summary') or ''} {diagnostic.get('detail') or ''}".split())
    found = _INVOCATION.search(text)
    if found is None:
        return ""
    function, payload = found.groups()
    try:
        answer, _ = json.JSONDecoder(strict=False).raw_decode(payload)
        cause, kind = str(answer["errorMessage"]), str(answer.get("errorType") or "error")
    except (ValueError, KeyError, TypeError):
        return ""
    cause = " ".join(cause.split()) or kind
    return f"{cause} ({kind} in the function {function}; its log: sluice logs {function})"
