"""The peers: other free emulators, each in an environment of its own, with the same Terraform and functions."""

from sluice.bench.peers.environment import installed
from sluice.bench.peers.localemu import LOCALEMU
from sluice.bench.peers.ministack import MINISTACK
from sluice.bench.peers.peer import Peer
from sluice.bench.peers.running import deploy, engine

ALL = (MINISTACK, LOCALEMU)


def all_installed() -> tuple[Peer, ...]:
    return tuple(peer for peer in ALL if installed(peer))


__all__ = ["ALL", "LOCALEMU", "MINISTACK", "Peer", "all_installed", "deploy", "engine", "installed"]
