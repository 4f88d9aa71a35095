"""How long a workflow waits before it looks again, so that its history stays short however long its deadline is.

An execution has at most 25,000 events, and each look writes about nine of them, with all tries of the task 24:
https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-history-limit
"""

from typing import Final

_LEAST_CAP: Final = 60
_PARTS: Final = 360  # a wait is at most this part of the deadline: a minute of six hours, 28 minutes of a week
MAX_LOOKS: Final = 450


def next_wait(elapsed: float, deadline: float) -> int:
    """Whole seconds to wait after ``elapsed`` of ``deadline`` seconds: a tenth of what has passed, within a cap.

    A run has at most MAX_LOOKS looks before its deadline, and one soon after it.
    """
    wait = min(max(_LEAST_CAP, int(deadline // _PARTS)), max(1, int(elapsed // 10)))
    left = deadline - elapsed
    return min(wait, int(left) + 1) if left >= 0 else wait
