"""Deterministic names: the same chunk processed twice writes the same bytes to the same keys."""

from typing import Final

BRONZE: Final = "bronze/"
SILVER: Final = "silver/"
QUARANTINE: Final = "quarantine/"
STAGED: Final = "staged/"
LEFTOVERS: Final = "leftovers/"
_TOTALS: Final = "totals"


def dataset_of(key: str) -> str | None:
    """The dataset named by a bronze key ``bronze/<dataset>/...``, None when the key has no such prefix."""
    parts = key.split("/", 2)
    if len(parts) < 3 or parts[0] + "/" != BRONZE or not parts[1]:
        return None
    return parts[1]


def silver_key(dataset: str, dt: str, object_id: str, chunk: int) -> str:
    return f"{SILVER}{dataset}/dt={dt}/{object_id}-{chunk:05d}.parquet"


def staged_key(run: int, key: str) -> str:
    """Where a run of a gated object has a file, in the staging bucket, that is to have this key in silver.

    The run is in it, so that what was audited is what is published, whatever a newer run writes meanwhile.
    """
    return f"{STAGED}{run:05d}/{key}"


def leftovers_prefix(object_id: str) -> str:
    """Lists, in the staging bucket, of silver files that runs of an object no longer write, and that are there."""
    return f"{LEFTOVERS}{object_id}/"


def leftovers_key(object_id: str, run: int, chunk: int) -> str:
    """Sorts by the run."""
    return f"{leftovers_prefix(object_id)}{run:05d}-{chunk:05d}.json"


def totals_key(dataset: str, object_id: str) -> str:
    """The file of an object's control totals that differ; it is beside the object's rejected rows and holds none."""
    return f"{QUARANTINE}{dataset}/{object_id}-{_TOTALS}.jsonl"


def is_totals_key(key: str) -> bool:
    return key.startswith(QUARANTINE) and key.endswith(f"-{_TOTALS}.jsonl")


def quarantine_key(dataset: str, object_id: str, chunk: int) -> str:
    return f"{QUARANTINE}{dataset}/{object_id}-{chunk:05d}.jsonl"
