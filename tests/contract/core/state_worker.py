"""Saves a small state with the engine's own code for files, and kills itself at the n-th change of the file system.

``python state_worker.py <folder of the state> <generation> <n>`` (n = 0: to the end; prints how many changes it made)
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

# The package's own file, without an engine.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "localstack/extension"))

from sluice_ext.state import files

CHANGES = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate"}


def main(folder: Path, generation: str, last: int) -> None:
    count = 0

    def changed(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in CHANGES and str(folder.parent) in str(arguments[0]):
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(changed)
    objects = files.Objects(folder.parent / "objects")
    texts = ["shared by both", f"only {generation}", generation * 100_000]
    contents = [objects.add([text.encode()]) for text in texts]
    digest, size = objects.add([f"stores of {generation}".encode()])
    manifest = {
        "generation": generation,
        "parts": {"stores": {"sha256": digest, "size": size}},
        "attached": {},
        "objects": contents,
    }
    files.commit(objects, folder, manifest)
    print(count)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
