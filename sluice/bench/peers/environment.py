"""A peer's own Python environment in .sluice/peers, made once for each version that is asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sluice.bench.peers.peer import Peer
from sluice.console import fail
from sluice.paths import ROOT, SLUICE_DIR
from sluice.setup import machine

FOLDER = SLUICE_DIR / "peers"


def folder(peer: Peer) -> Path:
    return FOLDER / peer.name


def installed(peer: Peer) -> bool:
    """Whether the peer's environment is there, in the version that is asked for."""
    stamp = folder(peer) / ".stamp"
    return stamp.exists() and stamp.read_text() == _stamp(peer)


def install(peer: Peer, report: Callable[[str], None]) -> Path:
    """The folder of the peer's commands; makes its environment where that is still to do."""
    place = folder(peer)
    if installed(peer):
        return place / "bin"
    report(f"bench   installing {', '.join(peer.requirements)}")
    log = SLUICE_DIR / "setup.log"
    try:
        uv = machine.find_uv(ROOT, sys.executable, log)
        environment = machine.uv_environment(sys.executable)
        machine.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(place)], environment, log)
        python = str(place / "bin/python")
        machine.run([uv, "pip", "install", "-q", "--python", python, *peer.requirements], environment, log)
    except (machine.SetupError, subprocess.SubprocessError) as error:
        fail(f"{peer.title} could not be installed: {error}", 1)
    (place / ".stamp").write_text(_stamp(peer))
    return place / "bin"


def _stamp(peer: Peer) -> str:
    return "\n".join(peer.requirements)
