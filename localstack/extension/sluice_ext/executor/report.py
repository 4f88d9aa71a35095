"""What Lambda itself writes to a function's log, and what it returns when the function gives no answer.

https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
"""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (6 MB, as the service counts it)
RESPONSE_LIMIT = 6_291_556


@dataclass(frozen=True)
class Failure:
    """Why the function gave no answer. ``status`` and ``kind`` are shown in the REPORT line."""

    payload: bytes
    line: str
    status: str
    kind: str


def _payload(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}, separators=(",", ":")).encode()


def timed_out(request_id: str, seconds: float) -> Failure:
    """The function ran longer than its timeout."""
    text = f"Task timed out after {seconds:.2f} seconds"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    message = f"RequestId: {request_id} Error: {text}"
    return Failure(_payload("Sandbox.Timedout", message), f"{now} {request_id} {text}\n\n", "timeout", "")


def exited(request_id: str, status: int, out_of_memory: bool = False) -> Failure:
    """The process ended before it answered; ``status`` as subprocess gives it (negative = signal)."""
    if status == 0:
        reason = "Runtime exited without providing a reason"
    elif status < 0:
        names = {-9: "killed", -11: "segmentation fault", -6: "aborted", -15: "terminated"}
        reason = f"Runtime exited with error: signal: {names.get(status, -status)}"
    else:
        reason = f"Runtime exited with error: exit status {status}"
    kind = "Runtime.OutOfMemory" if out_of_memory else "Runtime.ExitError"
    message = f"RequestId: {request_id} Error: {reason}"
    return Failure(_payload("Runtime.ExitError", message), f"{message}\nRuntime.ExitError\n", "error", kind)


def too_large(size: int) -> Failure:
    """The response is over 6 MB."""
    kind = "Function.ResponseSizeTooLarge"
    message = f"Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes)."
    return Failure(_payload(kind, message), f"[ERROR] {kind}: {message} It was {size} bytes.\n", "error", kind)


def not_startable(request_id: str, reason: str) -> Failure:
    """This engine cannot run the function at all."""
    kind = "Runtime.InvalidEntrypoint"
    message = f"RequestId: {request_id} Error: {reason}"
    return Failure(_payload(kind, message), f"{message}\n{kind}\n", "error", kind)


def init_report(seconds: float, phase: str, status: str, kind: str) -> str:
    """INIT_REPORT line of an init that failed or took too long."""
    error = f"\tError Type: {kind}" if kind else ""
    return f"INIT_REPORT Init Duration: {seconds * 1000:.2f} ms\tPhase: {phase}\tStatus: {status}{error}\n"


def report(
    request_id: str, seconds: float, memory_size: int, peak: int, init: float | None, failure: Failure | None
) -> str:
    """END and REPORT lines. ``seconds`` handler time, ``init`` init time of a cold start (s), ``peak`` bytes."""
    duration = seconds * 1000
    # Since August 2025 the init time of a cold start is billed too.
    billed = math.ceil(duration + (init or 0) * 1000)
    used = min(math.ceil(peak / (1 << 20)), memory_size)
    parts = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {duration:.2f} ms",
        f"Billed Duration: {max(1, billed)} ms",
        f"Memory Size: {memory_size} MB",
        f"Max Memory Used: {used} MB",
    ]
    if init is not None:
        parts.append(f"Init Duration: {init * 1000:.2f} ms")
    if failure:
        parts.append(f"Status: {failure.status}")
        if failure.kind:
            parts.append(f"Error Type: {failure.kind}")
    return f"END RequestId: {request_id}\n" + "\t".join(parts) + "\t\n"
