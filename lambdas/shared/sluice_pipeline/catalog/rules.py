"""The version of the rules: which content of the deployed datasets a run is judged by."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_TEXT: Final = re.compile(r"[0-9a-f]{64}/\S{0,1024}")


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """``sha256``: of the deployed content, in hexadecimal digits. ``version_id``: the S3 version that holds it."""

    sha256: str
    version_id: str

    @property
    def text(self) -> str:
        """Both in one, for requests: ``<sha256>/<version_id>``."""
        return f"{self.sha256}/{self.version_id}"

    def to_dict(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any] | None) -> Self | None:
        """What the ledger or a message holds; None for those of earlier releases, which name no version.

        Raises:
            ValueError: something else than a version.
        """
        if raw is None:
            return None
        found = {name: raw.get(name) for name in ("sha256", "version_id")} if isinstance(raw, Mapping) else {}
        sha256, version_id = found.get("sha256"), found.get("version_id")
        if not (isinstance(sha256, str) and _SHA256.fullmatch(sha256) and isinstance(version_id, str)):
            raise ValueError(f"not a version of the rules: {str(raw)[:200]}")
        return cls(sha256, version_id)


def is_version_text(text: str) -> bool:
    return bool(_TEXT.fullmatch(text))
