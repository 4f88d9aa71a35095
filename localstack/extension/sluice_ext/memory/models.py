"""Service models of botocore, once for the whole process.

Each botocore session has a loader with a cache of its own, and the engine has five: LocalStack's parser, its clients
inside and outside of the process, moto's, and boto3's. Each would read the same files: 125 MB on the deployed stack, of
which 100 are copies. Their dictionaries are OrderedDicts, twice as large as a dict, which has kept its order since
Python 3.7.

Replaced: `JSONFileLoader.load_file`. Only botocore's ExtrasProcessor changes what it returns. It adds the same values
for each loader, so `ExtrasProcessor.process` has a lock: a loader has the model when they are in it.
LocalStack's patches work on a copy.
"""

import json
import os
import sys
import threading
from typing import Any

from botocore import loaders

from sluice_ext.patching import replace

_lock = threading.Lock()
_extras_lock = threading.Lock()
_loaded: dict[str, tuple[tuple[int, int], Any]] = {}
"""Path with its ending -> (time of change, size) of the file, and its content."""


def install() -> None:
    """Replace them; raises UnexpectedEngine when botocore is not the version we know."""

    def process(self: Any, original_model: Any, extra_models: Any) -> None:
        with _extras_lock:
            original_process(self, original_model, extra_models)

    original_process = replace(
        loaders.ExtrasProcessor, "process", process, expect="(self, original_model, extra_models)"
    )
    replace(loaders.JSONFileLoader, "load_file", load_file, expect="(self, file_path)")


def load_file(_self: Any, file_path: str) -> Any:
    """The content of a JSON file, which may be packed, or None when there is no such file. The path has no ending."""
    for ending, open_file in loaders._JSON_OPEN_METHODS.items():  # type: ignore[attr-defined]
        path = file_path + ending
        try:
            found = os.stat(path)  # noqa: PTH116 - as the paths that botocore gives
        except OSError:
            continue
        version = (found.st_mtime_ns, found.st_size)
        with _lock:
            known = _loaded.get(path)
            if known is None or known[0] != version:
                with open_file(path, "rb") as file:
                    known = _loaded[path] = version, json.loads(file.read(), object_pairs_hook=_compact)
        return known[1]
    return None


def _compact(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict in which equal texts are one object: models repeat the names of types and shapes thousands of times."""
    return {key: sys.intern(value) if type(value) is str else value for key, value in pairs}
