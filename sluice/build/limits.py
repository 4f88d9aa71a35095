"""Lambda's size limits, checked before anything is uploaded.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: a function and its layers are at most 250 MB
(262,144,000 bytes) unzipped; a zip over 50 MB must come from S3, which is where Terraform puts all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from sluice.console import fail, human_bytes

UNZIPPED_LIMIT = 262_144_000


def check(function: str, parts: Mapping[str, int], largest: Mapping[str, int]) -> None:
    """Raises SluiceError when a function with its layers is too large.

    parts: unzipped bytes of the function and of each layer. largest: unzipped bytes of single files, by name.
    """
    total = sum(parts.values())
    if total <= UNZIPPED_LIMIT:
        return
    sizes = ", ".join(f"{name} {human_bytes(size)}" for name, size in _by_size(parts))
    files = ", ".join(f"{name} {human_bytes(size)}" for name, size in _by_size(largest)[:5])
    fail(
        f"function {function} is {total:,} bytes unzipped with its layers, Lambda allows {UNZIPPED_LIMIT:,}"
        f" ({sizes}); largest files: {files}",
        1,
    )


def _by_size(sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
