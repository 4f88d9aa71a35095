"""moto's lists of the EC2 instance types that each region and zone offers: read when they are asked for.

moto reads those of all regions and of both kinds of zones when EC2 is loaded, 37 MB. A VPC and its subnets need none.

Replaced: `load_resource`, with which moto reads all its data, for these files only.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from moto.utilities import utils

from sluice_ext.patching import replace

_FOLDER = "/instance_type_offerings/"
_MODULE, _DEFINED_LATER = "moto.ec2.models.instance_types", "InstanceType"


class Offerings(Sequence[dict[str, Any]]):
    """The offerings in one file."""

    def __init__(self, package: str, resource: str, load: Any) -> None:
        self._where, self._load = (package, resource), load
        self._found: list[dict[str, Any]] | None = None

    def __len__(self) -> int:
        return len(self._list())

    def __getitem__(self, index: Any) -> Any:
        return self._list()[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # The module goes through all of them while it is imported, to add what `_list` adds.
        return iter(self._list() if hasattr(sys.modules.get(_MODULE), _DEFINED_LATER) else [])

    def _list(self) -> list[dict[str, Any]]:
        if self._found is None:
            kind = self._where[1].split("/")[-2]
            self._found = [offering | {"LocationType": kind} for offering in self._load(*self._where)]
        return self._found


def install() -> None:
    """Replace it; raises UnexpectedEngine when moto is not the version we know."""

    def load(package: str, resource: str) -> Any:
        if _FOLDER in resource and package == _MODULE:
            return Offerings(package, resource, original)
        return original(package, resource)

    original = replace(utils, "load_resource", load, expect="(package, resource)")
