"""How a run ended, in the words of AWS. Pure.

https://docs.aws.amazon.com/glue/latest/dg/glue-troubleshooting-errors.html
"""

from collections.abc import Mapping
from typing import Any, Final

from sluice_ext.glue.jobs.kinds import SPARK

OUT_OF_MEMORY: Final = "Command Failed due to Out of Memory"
TIMED_OUT: Final = "Job run exceeded its timeout"
_CATEGORIES: Final = {
    "ModuleNotFoundError": "IMPORT_ERROR", "ImportError": "IMPORT_ERROR", "SyntaxError": "SYNTAX_ERROR",
    "IndentationError": "SYNTAX_ERROR", "GlueArgumentError": "INVALID_ARGUMENT_ERROR",
    "MemoryError": "OUT_OF_MEMORY_ERROR", "AnalysisException": "QUERY_ERROR", "ParseException": "QUERY_ERROR",
}  # fmt: skip
_CAUSES: Final = (
    ("AccessDenied", "PERMISSION_ERROR"), ("not authorized to perform", "PERMISSION_ERROR"),
    ("java.lang.OutOfMemoryError", "OUT_OF_MEMORY_ERROR"), ("No space left on device", "DISK_NO_SPACE_ERROR"),
    ("EntityNotFoundException", "RESOURCE_NOT_FOUND_ERROR"), ("NoSuchBucket", "RESOURCE_NOT_FOUND_ERROR"),
    ("NoSuchKey", "RESOURCE_NOT_FOUND_ERROR"), ("PATH_NOT_FOUND", "RESOURCE_NOT_FOUND_ERROR"),
)  # fmt: skip


def failure(kind: str, outcome: Mapping[str, Any] | None, status: int) -> str:
    """ErrorMessage of a run that failed; empty for one that succeeded.

    outcome: what the run's process wrote, None when it wrote nothing. status: of the process, negative = signal.
    """
    if outcome is None and status == 0:
        return ""  # the script ended the process itself, without an error
    if outcome is None:
        return f"Command failed with exit code {status if status >= 0 else 128 - status}"
    if outcome.get("ok"):
        return "" if status == 0 else f"Command failed with exit code {status}"
    name, message = str(outcome.get("type")), str(outcome.get("message"))
    said = f"{name}: {message}" if message else name
    if kind != SPARK:
        return said
    line = f"Failed Line Number: {outcome['line']}; " if outcome.get("line") else ""
    return f"Error Category: {category(name, message)}; {line}{said}"


def category(name: str, message: str) -> str:
    """The error category of an exception."""
    found = next((kind for words, kind in _CAUSES if words in message), "")
    return found or _CATEGORIES.get(name, "UNCLASSIFIED_ERROR")


def event(run: Mapping[str, Any]) -> dict[str, Any] | None:
    """Detail of the event "Glue Job State Change"; None for a state that has none.

    https://docs.aws.amazon.com/glue/latest/dg/automating-awsglue-with-cloudwatch-events.html
    """
    said = {
        "SUCCEEDED": ("INFO", "Job run succeeded"),
        "FAILED": ("ERROR", str(run.get("ErrorMessage", ""))),
        "TIMEOUT": ("WARN", "Job run timed out"),
        "STOPPED": ("INFO", "Job run stopped"),
    }.get(str(run["JobRunState"]))
    if said is None:
        return None
    named = {"jobName": run["JobName"], "severity": said[0], "state": run["JobRunState"], "jobRunId": run["Id"]}
    return named | {"message": said[1]}
