"""What runs side by side when pytest runs in parallel: each group of tests in one worker, in its order."""

from __future__ import annotations

# End-to-end suites that start engines of their own: they need no deployed stack.
OWN_ENGINES = ("tests/e2e/engines/", "tests/e2e/faults/test_docker_faults.py", "tests/e2e/lake/test_scaffold.py")

# The end-to-end suites mostly wait, so in parallel they run in two halves, each with an engine and a stack of its own.
# These are the first half; whatever says ``[first]`` or ``[second]`` is asked of both.
FIRST_HALF = (
    "tests/e2e/core/test_core_path.py",
    "tests/e2e/core/test_delivery.py",
    "tests/e2e/core/test_demo.py",
    "tests/e2e/core/test_documents.py",
    "tests/e2e/core/test_operations.py",
    "tests/e2e/core/test_core_sweep.py",
    "tests/e2e/faults/test_alarms.py",
    "tests/e2e/lake/",
    "tests/e2e/taxi/",
    "tests/e2e/checkins/",
    "tests/e2e/quality/test_quality_sweep.py",
)
HALVES = ("first", "second")

# In the order in which they begin. With four workers both halves run beside the others, and a worker that has ended
# its group takes the next.
GROUPS = (*HALVES, "unit", "contract", "engines", "branches", "infra")


def group_of(nodeid: str) -> str:
    """The group that a test runs in, one after another."""
    kind, area = nodeid.split("/")[1:3]
    if kind == "contract":
        return "contract" if area in ("core", "lake") else "branches"
    if kind != "e2e":
        return kind
    if nodeid.startswith(OWN_ENGINES):
        return "engines"
    for half in HALVES:
        if f"[{half}]" in nodeid:
            return half
    return "first" if nodeid.startswith(FIRST_HALF) else "second"
