"""What `sluice status` says about an engine of either kind."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EngineStatus:
    """Memory in bytes, with everything below the server; uptime in seconds. pids: of the embedded engine only."""

    running: bool
    healthy: bool = False
    home: str = ""
    kind: str = "embedded"
    endpoint_url: str | None = None
    postgres_port: int | None = None
    engine_pid: int | None = None
    postgres_pid: int | None = None
    engine_memory: int = 0
    functions_memory: int = 0
    postgres_memory: int = 0
    uptime: float = 0.0
    started_at: str | None = None
    faults: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)
    """Short ids of the containers `localstack` and `postgres`, where they are containers."""
