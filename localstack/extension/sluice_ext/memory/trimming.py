"""Gives the heap's free pages back to the system.

The C library retains what was freed for the next allocation, so after a burst the process stays as large as it was at
its largest. malloc_trim releases it in a few milliseconds: https://man7.org/linux/man-pages/man3/malloc_trim.3.html
Each thread that allocates beside others gets a heap (arena) of its own, up to 8 a core. The interpreter's lock lets one
thread run at a time, so two are enough: https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

import ctypes
import threading
from collections.abc import Callable
from typing import Any

from sluice_ext import settings

_M_ARENA_MAX = -8
_ARENAS = 2


def start() -> bool:
    """Trim every SLUICE_TRIM_SECONDS from now on; False when that is 0 or the C library has no such function."""
    trim = _trim()
    if trim is None or settings.TRIM_SECONDS <= 0:
        return False
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
    threading.Thread(target=_forever, args=(trim, threading.Event()), name="memory-trim", daemon=True).start()
    return True


def _trim() -> Callable[[], Any] | None:
    """malloc_trim of glibc; musl and others have none."""
    try:
        function = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    function.argtypes, function.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda: function(0)


def _forever(trim: Callable[[], Any], over: threading.Event) -> None:
    while not over.wait(settings.TRIM_SECONDS):
        trim()
