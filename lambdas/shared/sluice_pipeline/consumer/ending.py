"""How Lambda ended an invocation that gave no answer, as its log says.

https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
"""

import re
from typing import Final

REPORTS: Final = ("REPORT", "INIT_REPORT")
"""How lines begin that say so, the second of a function that could not start."""
_STATUS: Final = re.compile(r"Status: (\w+)(?:\s+Error Type: ([\w.]+))?")
_MEMORY: Final = re.compile(r"Memory Size: (\d+ MB)")


def ending(line: str) -> str:
    """What a line of ``REPORTS`` says of the function, such as ``it timed out``; empty when it says nothing."""
    status = _STATUS.search(line)
    if status is None:
        return ""
    if line.startswith("INIT_REPORT"):
        return (
            "it could not start in time" if status[1] == "timeout" else f"it could not start ({status[2] or status[1]})"
        )
    if status[1] == "timeout":
        return "it timed out"
    if status[2] == "Runtime.OutOfMemory":
        memory = _MEMORY.search(line)
        return f"it ran out of memory ({memory[1]})" if memory else "it ran out of memory"
    return f"it ended with an error ({status[2] or status[1]})"
