"""Runs in the engine's interpreter: S3's store with 20 kB of memory, 300 keys of up to 4 kB, and eight threads.

Each thread writes, reads, overwrites and deletes keys of its own at random and compares what it reads with what it
wrote last. Then one object is overwritten and one deleted while they are read. Prints as JSON: wrong reads, objects
that are in memory and in files at the end, the bytes in memory, files left after everything was deleted, what the two
readers got, and what objects at rest share.
"""

import gc
import io
import json
import random
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from localstack.services.s3 import provider as s3
from localstack.services.s3.storage.ephemeral import LockedFileMixin
from localstack.services.s3.utils import get_canned_acl

from sluice_ext.s3 import at_rest
from sluice_ext.s3.storage import RestoredFile, Store

LIMIT, KEYS, STEPS = 20_000, 300, 1_500


def thing(key: str) -> Any:
    """Stands for LocalStack's S3Object."""
    return SimpleNamespace(key=key, version_id=None, checksum_algorithm=None, size=0, etag="", internal_last_modified=0)


def write(store: Store, key: str, body: bytes) -> None:
    with store.open("b", thing(key), mode="w") as stored:
        stored.write(io.BytesIO(body))


def read(store: Store, key: str) -> bytes:
    with store.open("b", thing(key)) as stored:
        return b"".join(stored)


def work(store: Store, name: int, wrong: list[str], known: dict[str, bytes]) -> None:
    rng = random.Random(name)
    for step in range(STEPS):
        key = f"{name}-{rng.randrange(KEYS // 8)}"
        kind = rng.random()
        if kind < 0.5:
            known[key] = rng.randbytes(rng.randrange(4_000))
            write(store, key, known[key])
        elif kind < 0.9 and key in known:
            if read(store, key) != known[key]:
                wrong.append(f"{key} at {step}")
        elif key in known:
            del known[key]
            store.remove("b", thing(key))


def main() -> None:
    at_rest.install()
    sys.setswitchinterval(1e-5)
    store = Store(LIMIT)
    store.create_bucket("b")
    wrong: list[str] = []
    known: list[dict[str, bytes]] = [{} for _ in range(8)]
    threading.excepthook = lambda error: wrong.append(f"{error.exc_type.__name__}: {error.exc_value}")
    threads = [threading.Thread(target=work, args=(store, n, wrong, known[n])) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = {key: body for some in known for key, body in some.items()}
    wrong += [key for key, body in left.items() if read(store, key) != body]
    files = [file for _, _, file in store.contents()]
    in_files = sum(isinstance(file, RestoredFile) for file in files)
    oldest = next(key.split("?")[0] for _, key, file in store.contents() if isinstance(file, RestoredFile))
    with store.open("b", thing(oldest)) as reader:
        first = reader.read(1)
        write_done = threading.Thread(target=write, args=(store, oldest, b"new"))
        write_done.start()
        write_done.join(20)
        old = first + b"".join(reader)
    found = {
        "wrong": wrong,
        "objects": len(files) == len(left),
        "in files": in_files > 50,
        "memory": store._in_memory_total <= LIMIT + 8_000,
        "old": old == left[oldest],
        "new": read(store, oldest) == b"new",
    }
    # A lock is there while its file is open, the same for each who opens it, and no longer.
    with store.open("b", thing(oldest)) as first_reader, store.open("b", thing(oldest)) as second_reader:
        found["one lock"] = first_reader.file.readwrite_lock is second_reader.file.readwrite_lock
    del reader, first_reader, second_reader
    gc.collect()
    used = [vars(LockedFileMixin)[name]._used for name in ("position_lock", "readwrite_lock")]
    found["locks"] = [len(locks) for locks in used]
    keys = at_rest.KeyLocks()
    held = keys["a"]
    found["key locks"] = [keys["a"] is held, keys["b"] is held, len(keys)]
    user = {"ID": "a"}
    lists = [s3.get_canned_acl(name, owner=dict(user)) for name in ("private", "private", "public-read")]
    found["lists"] = [lists[0] is lists[1], lists[0] == get_canned_acl("private", user), lists[0] == lists[2]]
    del files
    for key in left:
        store.remove("b", thing(key))
    found["left"] = len(list(Path(store.root_directory).glob("content-*")))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
