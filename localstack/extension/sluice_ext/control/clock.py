"""The route /_sluice/clock: the engine's time for schedules.

GET shows it. POST moves it forwards, {"move_seconds": 3600} or {"at": "2026-12-01T00:00:00Z"}, and answers when all
that came due has run; {"reset": true} goes back to the machine's time.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sluice_ext.timeline.clock import CLOCK, Backwards

# Whatever is due in between runs, and a schedule of every minute has half a million times a year.
_LONGEST_MOVE = timedelta(days=3660)
_WAYS = ("move_seconds", "at", "reset")


def answer(body: Any) -> tuple[dict[str, Any], int]:
    """The answer and its status; ``body`` is None to look only."""
    if body is None:
        return _shown(), 200
    try:
        return _moved(body), 200
    except Backwards as error:
        return {"error": str(error)}, 409
    except (ValueError, OverflowError) as error:
        return {"error": str(error)}, 400


def _moved(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict) or len(body) != 1 or next(iter(body)) not in _WAYS:
        raise ValueError(f"the body has one of {', '.join(_WAYS)}")
    ((way, value),) = body.items()
    if way == "reset":
        if value is not True:
            raise ValueError("reset is true")
        CLOCK.reset()
        return _shown()
    if way == "at":
        if not isinstance(value, str):
            raise ValueError("at is a time such as 2026-12-01T00:00:00Z")
        to = datetime.fromisoformat(value)
        to = to.astimezone(UTC) if to.tzinfo else to.replace(tzinfo=UTC)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("move_seconds is a number")
    else:
        to = CLOCK.now() + timedelta(seconds=value)
    if to - CLOCK.now() > _LONGEST_MOVE:
        raise ValueError(f"it is moved by at most {_LONGEST_MOVE.days} days at once")
    return {"ran": CLOCK.move(to)} | _shown()


def _shown() -> dict[str, Any]:
    return {"now": CLOCK.now().isoformat(), "moved_seconds": round(CLOCK.moved_seconds, 3)}
