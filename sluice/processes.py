"""Processes that this tool started: recognised again by their start time, stopped with everything below them.

A pid alone proves nothing, because it is reused. A process is ours when its pid and its start time are those stored.
What a server leaves behind after kill -9 is found by its session: each server is started in a session of its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from sluice.polling import wait_until


@dataclass(frozen=True)
class ProcessId:
    """A process and when it started (seconds since the epoch, as the kernel says)."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Raises psutil.NoSuchProcess when there is none."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The living process, or None when it ended or its pid belongs to another one now."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 0.1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None

    def alive(self) -> bool:
        return self.process() is not None


MARKER = "SLUICE_INSTANCE"
"""Environment variable that every process of an instance inherits; its value is the instance's home."""


def family(process: ProcessId) -> list[ProcessId]:
    """The living process and everything below it, itself first; empty when it is gone."""
    parent = process.process()
    if parent is None:
        return []
    found = [process]
    try:
        children = parent.children(recursive=True)
    except psutil.NoSuchProcess:
        return found
    for child in children:
        try:
            found.append(ProcessId(child.pid, child.create_time()))
        except psutil.NoSuchProcess:
            continue
    return found


def leftovers(home: str, folder: str) -> list[ProcessId]:
    """Processes that belong to an instance, whatever their parent is now: they inherited its marker, or work in its
    folder (function processes get an environment of their own; their command names the folder of their /tmp)."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            environment = process.environ()
            words = (*environment.values(), *process.cmdline())
            if environment.get(MARKER) == home or any(word.startswith(folder + "/") for word in words):
                found.append(ProcessId(process.pid, process.create_time()))
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or another user's
    return found


def send(processes: Iterable[ProcessId], number: signal.Signals) -> None:
    """Signals those that are still the processes they were."""
    for identity in processes:
        process = identity.process()
        if process is not None:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue


def wait_gone(processes: Iterable[ProcessId], seconds: float) -> list[ProcessId]:
    """Waits until all are gone and returns those that are not when the time is over."""
    waiting = list(processes)
    wait_until(lambda: not any(p.alive() for p in waiting), seconds)
    return [p for p in waiting if p.alive()]


def stop(processes: Iterable[ProcessId], *, first: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> None:
    """Stops processes and everything below them: politely first, then for certain.

    Raises RuntimeError when one survives SIGKILL for five seconds (it hangs in the kernel).
    """
    roots = list(processes)
    everyone = {p for root in roots for p in family(root)}
    send(roots, first)
    wait_gone(roots, seconds)
    send(everyone, signal.SIGKILL)
    stubborn = wait_gone(everyone, 5.0)
    if stubborn:
        raise RuntimeError(f"these processes cannot be stopped: {', '.join(str(p.pid) for p in stubborn)}")
