"""Runs in the engine's interpreter, with what the engine shares and leaves out.

`offerings`, or `ours offerings` with our change: a digest of moto's instance types by location, and how many of the
lists had been read before anything was asked.

`models FOLDER`: what two loaders of botocore have in common: whether both give the same object, its type, whether it
equals what botocore itself loads, and a file that changes or does not exist.
"""

import gzip
import hashlib
import json
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader

SERVICES = ("s3", "sqs", "dynamodb", "apigateway")


def plain(value: Any) -> Any:
    """The same without botocore's OrderedDicts, which compare their order, too."""
    return json.loads(json.dumps(value))


def offerings(ours: bool) -> dict[str, Any]:
    from sluice_ext.memory import offerings

    if ours:
        offerings.install()
    from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS

    lists = [(kind, region, found) for kind, by in INSTANCE_TYPE_OFFERINGS.items() for region, found in by.items()]
    read = sum(not isinstance(found, offerings.Offerings) or found._found is not None for *_, found in lists)
    text = json.dumps(sorted((kind, region, list(found)) for kind, region, found in lists), sort_keys=True)
    return {"lists": len(lists), "read": read, "digest": hashlib.sha256(text.encode()).hexdigest()}


def models(folder: Path) -> dict[str, Any]:
    before = {name: plain(Loader().load_service_model(name, "service-2")) for name in SERVICES}
    from sluice_ext.memory import models as shared

    shared.install()
    from localstack.aws import spec

    patched = {name: spec.load_service(name) for name in SERVICES}  # applies LocalStack's patches
    one, other = (Loader().load_service_model("s3", "service-2") for _ in range(2))
    after = {name: Loader().load_service_model(name, "service-2") for name in SERVICES}
    file = folder / "changing.json.gz"
    read = []
    for value in ({"a": 1}, {"a": 22}):
        file.write_bytes(gzip.compress(json.dumps(value).encode()))
        read.append(JSONFileLoader().load_file(str(file.with_name("changing"))))
    return {
        "shared": one is other,
        "ordered": isinstance(one, OrderedDict),
        "same": [name for name in SERVICES if plain(after[name]) == before[name]],
        "order": list(one["shapes"]) == list(before["s3"]["shapes"]),
        "operations": all(patched[name].operation_names for name in SERVICES),
        "read": read,
        "missing": JSONFileLoader().load_file(str(file.with_name("missing"))),
    }


def main() -> None:
    if sys.argv[1] == "models":
        found = models(Path(sys.argv[2]))
    else:
        found = offerings(sys.argv[1] == "ours")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
