"""Bytecode of code and layers, made once: a function sees both read-only, so Python could not store it at a cold start.

Without it every cold start compiles what it imports, which costs more processor time than all the rest of a start.
"""

import logging
import subprocess
import threading
from collections import defaultdict
from pathlib import Path

LOG = logging.getLogger(__name__)
_SECONDS = 120
_locks: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
_made: set[Path] = set()


def make(interpreter: Path, folder: Path, seen_as: Path) -> None:
    """Compile a folder's modules for this interpreter. ``seen_as``: where the function finds them, for tracebacks.

    A module that cannot be compiled is left to the function, which says so when it imports it.
    """
    if folder in _made:
        return
    with _locks[folder]:
        if folder in _made:
            return
        command = [str(interpreter), "-I", "-S", "-m", "compileall", "-qq", "-s", str(folder), "-p", str(seen_as)]
        try:
            subprocess.run([*command, str(folder)], capture_output=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            LOG.warning("The modules of %s are compiled at every cold start: %s", folder, error)
        _made.add(folder)
