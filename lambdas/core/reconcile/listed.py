"""What lists of bronze say of its objects, in the form in which passes compare them with the ledger."""

from dataclasses import dataclass
from typing import Final

_PARTS: Final = "-"  # and their number end the ETag of a multipart upload


@dataclass(frozen=True, slots=True)
class Listed:
    """A current version as a list shows it: size in bytes, ``modified`` as the ledger writes times."""

    key: str
    etag: str
    size: int
    modified: str

    @property
    def is_multipart(self) -> bool:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html"""
        return _PARTS in self.etag


@dataclass(frozen=True, slots=True)
class Page:
    """``position``: from where a later run goes on once this page is done; ``seen``: entries of the list."""

    objects: list[Listed]
    position: str
    seen: int
