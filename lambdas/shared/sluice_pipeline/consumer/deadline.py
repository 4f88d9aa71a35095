"""The end of a function's time, as an exception shortly before Lambda kills the function.

So the message that takes too long fails like any other, with a reason, and the rest of its batch goes back to the queue
at once. https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_SPARE_SECONDS: Final = 3.0  # for the record, the notice and the answer
_SPARE_PART: Final = 0.1  # of a short time


class OutOfTime(BaseException):
    """Not an Exception: code that catches those, such as a reader that rejects a row, is to let this one pass."""


class Deadline:
    """``passed``: work is not to begin any more. Without ``seconds`` it never passes.

    The signal interrupts Python code and waiting for the network. Native code that runs on is killed by Lambda.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.passed = False
        self._interrupts = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The alarm is set while the block runs; signals reach the main thread only."""
        if self.seconds is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        spare = min(_SPARE_SECONDS, self.seconds * _SPARE_PART)
        former = signal.signal(signal.SIGALRM, self._ring)
        timer = signal.setitimer(signal.ITIMER_REAL, max(0.001, self.seconds - spare))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, former)

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """Raises OutOfTime in the block when the time is over."""
        if self.passed:
            raise OutOfTime
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False

    def _ring(self, *_: Any) -> None:
        self.passed = True
        if self._interrupts:
            self._interrupts = False
            raise OutOfTime
