"""Around each measurement: the calibration loop before and after it, and a figure that says why it failed."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from sluice.bench import calibration, figures
from sluice.bench.figures import Figure
from sluice.bench.stage import Stage
from sluice.console import SluiceError

type Report = Callable[[str], None]
MB = 1e6


class Calibrated:
    """Runs the calibration loop between measurements, so that each has one before and one after it."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._last = calibration.seconds()
        self.beside: Stage | None = None
        """An engine that must be idle before the loop runs, for its work is not the machine's slowness."""

    def around(self, measure: Callable[[], list[Figure]]) -> list[Figure]:
        """The figures, with the calibration of their time."""
        before, found = self._last, measure()
        if self.beside:
            self.beside.settle()
        self._last = calibration.seconds()
        self._report(f"bench   calibration {before:.2f} s before, {self._last:.2f} s after")
        return figures.calibrated(found, before, self._last, calibration.DRIFT)


def guarded(group: str, name: str, measure: Callable[[], list[Figure]]) -> list[Figure]:
    """A measurement that fails is a figure that says why; the others go on."""
    try:
        return measure()
    except SluiceError as error:
        return [Figure(group, name, None, "", note=str(error))]
    except (BotoCoreError, ClientError, OSError, ArithmeticError, LookupError, ValueError) as error:
        # an engine may answer anything; what it did is the result
        return [Figure(group, name, None, "", note=f"{type(error).__name__}: {' '.join(str(error).split())}")]
