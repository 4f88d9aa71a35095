"""Where the files of a date are: in silver, which is the truth, and compacted beside it, one folder a generation."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sluice_pipeline.objects.keys import SILVER

COMPACTED: Final = "compacted/"
# Raise it when the same files are to be compacted in another way.
_FORMAT: Final = "1"
_GENERATION_DIGITS: Final = 16


@dataclass(frozen=True, slots=True, order=True)
class File:
    """An object of S3 as a listing shows it; ``modified`` as seconds."""

    key: str
    etag: str
    size: int
    modified: float

    @property
    def object_id(self) -> str:
        """Of the object whose rows a file of silver holds: ``<object id>-<chunk>.parquet``."""
        return self.key.rsplit("/", 1)[-1].split("-", 1)[0]

    @property
    def is_read(self) -> bool:
        """Whether Athena and Spark read it: they pass over hidden names and empty files."""
        return self.size > 0 and not self.key.rsplit("/", 1)[-1].startswith(("_", "."))


def silver_folder(dataset: str, day: str) -> str:
    """The date's folder in silver, as a prefix of keys."""
    return f"{SILVER}{dataset}/dt={day}/"


def compacted_folder(dataset: str, day: str = "", generation: str = "") -> str:
    """The folder of a dataset's compacted files, of a date's, or of one generation of them."""
    whole = f"{COMPACTED}{dataset}/"
    whole += f"dt={day}/" if day else ""
    return f"{whole}{generation}/" if generation else whole


def compacted_root(base: str, dataset: str) -> str:
    """Where the compacted files of a table are whose own location is ``base`` (``s3://<bucket>/silver/<dataset>``)."""
    return f"{base.rstrip('/').removesuffix(f'{SILVER}{dataset}')}{compacted_folder(dataset)}"


def generation_of(files: Iterable[File], columns: Sequence[dict[str, Any]], rule: str) -> str:
    """The name of what these files become: the same files, columns and rule (which rows) have the same name."""
    digest = hashlib.sha256(f"{_FORMAT}\0{rule}\0".encode())
    for column in columns:
        digest.update(f"{column['Name']}\0{column['Type']}\0".encode())
    for file in sorted(files):
        digest.update(f"\0{file.key}\0{file.etag}".encode())
    return digest.hexdigest()[:_GENERATION_DIGITS]
