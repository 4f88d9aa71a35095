"""/opt of a function: its layers merged. A later layer in the list overwrites an earlier one, as on AWS.

https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html
"""

import contextlib
import hashlib
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

from sluice_ext.executor.process import remove_tree

_lock = threading.Lock()


def merged(layers: list[Any]) -> Path | None:
    """Folder that serves as /opt, made once for each list of layer versions; None without layers.

    Files are hard links to the unpacked layers, so each layer uses disk space once.
    """
    if not layers:
        return None
    names = "\n".join(layer.layer_version_arn + "@" + layer.code.id for layer in layers)
    target = Path(tempfile.gettempdir()) / "lambda" / "opt" / hashlib.sha256(names.encode()).hexdigest()[:32]
    with _lock:
        if target.exists():
            return target
        building = target.with_name(f"{target.name}.{os.getpid()}")
        for layer in layers:
            layer.code.prepare_for_execution()
            _link_over(Path(layer.code.get_unzipped_code_location()), building)
        with contextlib.suppress(FileExistsError):
            building.rename(target)
    return target


def _link_over(source: Path, target: Path) -> None:
    """Hard-link everything below ``source`` into ``target``, replacing what is there."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(source):
        place = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            if place.is_symlink() or place.is_file():
                place.unlink()
            _link_over(Path(entry.path), place)
            continue
        if place.is_dir() and not place.is_symlink():
            remove_tree(place)
        place.unlink(missing_ok=True)
        try:
            os.link(entry.path, place, follow_symlinks=False)
        except OSError:  # another file system
            place.write_bytes(Path(entry.path).read_bytes())
