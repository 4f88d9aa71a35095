"""Deterministic names: the same chunk processed twice writes the same bytes to the same keys."""

from typing import Final

BRONZE: Final = "bronze/"
SILVER: Final = "silver/"
QUARANTINE: Final = "quarantine/"
_TOTALS: Final = "totals"


def dataset_of(key: str) -> str | None:
    """The dataset named by a bronze key ``bronze/<dataset>/...``, None when the key has no such prefix."""
    parts = key.split("/", 2)
    if len(parts) < 3 or parts[0] + "/" != BRONZE or not parts[1]:
        return None
    return parts[1]


def silver_key(dataset: str, dt: str, object_id: str, chunk: int) -> str:
    return f"{SILVER}{dataset}/dt={dt}/{object_id}-{chunk:05d}.parquet"


def totals_key(dataset: str, object_id: str) -> str:
    """Where an object's control totals that differ stand; beside its refused rows, but no rows of it."""
    return f"{QUARANTINE}{dataset}/{object_id}-{_TOTALS}.jsonl"


def is_totals_key(key: str) -> bool:
    return key.startswith(QUARANTINE) and key.endswith(f"-{_TOTALS}.jsonl")


def quarantine_key(dataset: str, object_id: str, chunk: int) -> str:
    return f"{QUARANTINE}{dataset}/{object_id}-{chunk:05d}.jsonl"
