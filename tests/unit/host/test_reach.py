"""Where a server listens so that the engine's functions and jobs reach it."""

from __future__ import annotations

import pytest

from sluice.engine import containers


@pytest.mark.parametrize(
    ("inside", "bind"),
    [
        ("127.0.0.1       STREAM host.docker.internal\n127.0.0.1       DGRAM\n", "127.0.0.1"),  # an address of ours
        ("192.0.2.254     STREAM host.docker.internal\n", "127.0.0.1"),  # of a virtual machine, which forwards it
        ("", "127.0.0.1"),
    ],
)
def test_a_name_is_an_address_of_ours_or_forwarded(monkeypatch: pytest.MonkeyPatch, inside: str, bind: str) -> None:
    monkeypatch.setattr(containers, "docker", lambda *_: inside)
    assert containers.address_inside("c", "host.docker.internal") == bind


def test_an_address_of_this_machine_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "docker", lambda *_: "10.1.2.3 STREAM host.docker.internal\n")
    monkeypatch.setattr(containers, "_is_ours", lambda address: address == "10.1.2.3")
    assert containers.address_inside("c", "host.docker.internal") == "10.1.2.3"
