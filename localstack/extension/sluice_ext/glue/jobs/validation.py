"""Definitions of jobs and requests for runs, checked and completed as AWS does it. Pure.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-job.html
"""

import copy
import re
from collections.abc import Mapping
from typing import Any, Final

from sluice_ext.glue.jobs.kinds import SHELL, SPARK

# DPU of a worker; a DPU has 4 cores and 16 GB.
WORKERS: Final = {
    "Standard": 1.0, "G.025X": 0.25, "G.1X": 1.0, "G.2X": 2.0, "G.4X": 4.0, "G.8X": 8.0, "G.12X": 12.0, "G.16X": 16.0,
    "R.1X": 1.0, "R.2X": 2.0, "R.4X": 4.0, "R.8X": 8.0,
}  # fmt: skip
GIGABYTES_PER_DPU: Final = 16
_SHELL_CAPACITIES: Final = (0.0625, 1.0)
_SHELL_PYTHON: Final = ("3", "3.6", "3.9", "3.13")
_MAX_TIMEOUT: Final = 10080
_MAX_RETRIES: Final = 10
_MAX_CONCURRENT_RUNS: Final = 1000
_NAME: Final = re.compile(r"[\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF\t]{1,255}")
BOOKMARK_OPTIONS: Final = ("job-bookmark-enable", "job-bookmark-disable", "job-bookmark-pause")
_DEFAULT_VERSION: Final = "0.9"


class Invalid(ValueError):
    """InvalidInputException, with the message."""


def completed(request: Mapping[str, Any]) -> dict[str, Any]:
    """A definition with AWS's defaults, as GetJob shows it. ``request``: CreateJob's without its tags.

    Raises Invalid.
    """
    job = copy.deepcopy({key: value for key, value in request.items() if value is not None})
    if not _NAME.fullmatch(job["Name"]):
        raise Invalid("Job name must have 1 to 255 characters of a single line.")
    if not job.get("Role"):
        raise Invalid("Role cannot be null or empty.")
    command = job["Command"]
    kind = command.get("Name")
    if kind not in (SHELL, SPARK):
        raise Invalid(_unknown_command(kind))
    if not str(command.get("ScriptLocation") or "").startswith("s3://"):
        raise Invalid(f"Script location {command.get('ScriptLocation') or ''!r} is not a path in S3: s3://bucket/key")
    if (job.get("Connections") or {}).get("Connections"):
        raise Invalid("Connections are not supported by this engine: a job reaches S3 and the services without them.")
    if job.get("CodeGenConfigurationNodes"):
        raise Invalid("CodeGenConfigurationNodes (Glue Studio's graphs) are not supported by this engine.")
    _check_python(command, kind)
    limits = job.setdefault("ExecutionProperty", {})
    limits.setdefault("MaxConcurrentRuns", 1)
    _within("Max concurrent runs", limits["MaxConcurrentRuns"], 1, _MAX_CONCURRENT_RUNS)
    _within("Max retries", job.setdefault("MaxRetries", 0), 0, _MAX_RETRIES)
    if kind == SPARK:
        job.setdefault("GlueVersion", _DEFAULT_VERSION)
    job.setdefault("Timeout", 480 if kind == SPARK and _version(job) >= 5 else 2880)
    _within("Timeout", job["Timeout"], 1, _MAX_TIMEOUT)
    job |= capacity(job, kind)
    for name in ("DefaultArguments", "NonOverridableArguments"):
        check_arguments(job.get(name) or {}, kind)
    return job


def _unknown_command(kind: Any) -> str:
    if kind in ("gluestreaming", "glueray"):
        return f"Jobs of the type {kind} are not supported by this engine; it runs {SHELL} and {SPARK}."
    return f"Job command name {kind!r} is not valid: it must be glueetl, pythonshell, gluestreaming or glueray."


def _check_python(command: dict[str, Any], kind: str) -> None:
    version = command.setdefault("PythonVersion", "3.9" if kind == SHELL else "3")
    if kind == SHELL and version not in _SHELL_PYTHON:
        raise Invalid(f"Python version {version} is not supported for pythonshell jobs.")
    if kind == SPARK and version != "3":
        raise Invalid(f"Python version {version} is not supported for glueetl jobs: it must be 3.")


def _version(job: Mapping[str, Any]) -> float:
    try:
        return float(job.get("GlueVersion") or _DEFAULT_VERSION)
    except ValueError:
        raise Invalid(f"Glue version {job['GlueVersion']} is not supported.") from None


def _within(what: str, value: int, minimum: int, maximum: int) -> None:
    if not minimum <= value <= maximum:
        raise Invalid(f"{what} must be from {minimum} to {maximum}, not {value}.")


def capacity(given: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Workers and DPU: {"MaxCapacity", "AllocatedCapacity", and "WorkerType" with "NumberOfWorkers" when given}."""
    worker, number = given.get("WorkerType"), given.get("NumberOfWorkers")
    asked = given.get("MaxCapacity")
    if asked is None and worker is None and number is None:
        asked = given.get("AllocatedCapacity")
    if kind == SHELL:
        if worker or number:
            raise Invalid("Worker Type and Number of Workers are not supported for Python shell jobs.")
        found = float(asked or _SHELL_CAPACITIES[0])
        if found not in _SHELL_CAPACITIES:
            raise Invalid("Max Capacity of a Python shell job must be 0.0625 or 1.")
        return {"MaxCapacity": found, "AllocatedCapacity": int(found)}
    if worker or number:
        if given.get("MaxCapacity") is not None:
            raise Invalid("Please do not set Max Capacity if using Worker Type and Number of Workers.")
        if not (worker and number):
            raise Invalid("Please set both Worker Type and Number of Workers.")
        if worker not in WORKERS:
            raise Invalid(f"Worker type {worker} is not supported.")
        found = WORKERS[worker] * number
        return {"MaxCapacity": found, "AllocatedCapacity": int(found), "WorkerType": worker, "NumberOfWorkers": number}
    found = float(asked or 10)
    if found < 2:
        raise Invalid("Max Capacity of a Spark job must be at least 2.")
    return {"MaxCapacity": found, "AllocatedCapacity": int(found)}


def check_arguments(arguments: Mapping[str, str], kind: str) -> None:
    """Raises Invalid for arguments that this engine would have to ignore."""
    option = arguments.get("--job-bookmark-option")
    if option is not None and option not in BOOKMARK_OPTIONS:
        raise Invalid(f"--job-bookmark-option must be one of {', '.join(BOOKMARK_OPTIONS)}, not {option!r}.")
    if kind == SHELL and option in ("job-bookmark-enable", "job-bookmark-pause"):
        raise Invalid("Job bookmarks are not supported for Python shell jobs.")
    if option == "job-bookmark-pause":
        raise Invalid("job-bookmark-pause is not supported by this engine.")
    if str(arguments.get("--job-language") or "python") != "python":
        raise Invalid(f"Job language {arguments['--job-language']} is not supported by this engine: it runs Python.")
    if str(arguments.get("--enable-glue-datacatalog") or "false").lower() == "true":
        raise Invalid(
            "--enable-glue-datacatalog is not supported by this engine: spark.sql does not see the catalog; read "
            "tables with create_dynamic_frame.from_catalog."
        )
    for name in ("--datalake-formats", "--extra-jars", "--user-jars-first"):
        if arguments.get(name):
            raise Invalid(f"{name} is not supported by this engine: a job has the jars of Spark.")


def merged(job: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Arguments of a run: the job's defaults, those of the run over them, and those that no run may override."""
    fixed = job.get("NonOverridableArguments") or {}
    return dict(job.get("DefaultArguments") or {}) | dict(given) | dict(fixed)
