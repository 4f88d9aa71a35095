"""The embedded engine: LocalStack with Sluice's extension, and PostgreSQL, as processes of an instance."""

from sluice.engine.lifecycle import EngineStatus, down, status, up

__all__ = ["EngineStatus", "down", "status", "up"]
