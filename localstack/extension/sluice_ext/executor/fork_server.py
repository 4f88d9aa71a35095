"""A process of a function version that has imported the libraries already, and forks execution environments.

It runs in the Lambda runtime's interpreter, started by bootstrap.py, and uses the standard library only. Each cold
start but the first of a version is a fork of it, so that a start costs the function's own modules and not those of
boto3 and Arrow again, nor the parsing of botocore's models. What is the function's own (its code, and modules of layers
that no package installed) is never imported here, and neither are credentials known: an environment has nothing of
another's.

Requests come over a socket as JSON, one at a time: at first ``{"load": names}``, of modules and (beginning with a
slash) of botocore's data files, -> ``{"ready"}`` or ``{"unsafe"}``; then ``{"fork": {"name", "variables"}}``, with the
descriptor for the output, -> ``{"pid"}``, and ``{"reap": pid}`` -> ``{"status"}``. The end of the socket ends this
process, and with it all that it forked.
"""

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import socket
import sys
import warnings

_OPT = "/opt/"
_REQUEST = 1 << 20
# AWS's runtime interface client reads the address of its environment's Runtime API when it is imported.
_RUNTIME = {"awslambdaric", "runtime_client", "snapshot_restore_py"}
# The allocator of Arrow starts one, and knows how to go on in a fork: https://jemalloc.net/jemalloc.3.html
_HARMLESS_THREADS = {"jemalloc_bg_thd"}


class Unsafe(Exception):
    """A fork of this process would not be what a new process is."""


def modules_of_packages(names: "list[str]") -> "list[str]":
    """Of the modules that a cold start imported, in order: those of the interpreter and of installed packages."""
    packages = _packages()
    return [name for name in names if _is_shared(name.partition(".")[0], packages)]


def _is_shared(package: str, installed: "set[str]") -> bool:
    if package == "__main__" or package in _RUNTIME:
        return False
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # a module that was made by hand
        return False
    origin = (spec and spec.origin) or ""
    if origin in ("built-in", "frozen") or origin.startswith((sys.prefix, sys.base_prefix)):
        return True
    return origin.startswith(_OPT) and package in installed


def _packages() -> "set[str]":
    """Top-level modules that packages installed in the layers; of one without a RECORD, that of the package's name.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file
    """
    found = set()
    for folder in (path for path in sys.path if path.startswith(_OPT) and os.path.isdir(path)):  # noqa: PTH112
        for entry in os.listdir(folder):  # noqa: PTH208
            name, _, ending = entry.rpartition(".")
            if ending != "dist-info":
                continue
            found.add(name.partition("-")[0])
            with contextlib.suppress(FileNotFoundError), open(f"{folder}/{entry}/RECORD", encoding="utf-8") as record:  # noqa: PTH123
                found |= {line.partition(",")[0].partition("/")[0].removesuffix(".py") for line in record}
    return found


def load(names: "list[str]") -> bytes:
    """Import modules; returns what they printed, which every fork prints again.

    Raises Unsafe when they left a thread or a connection behind, which would not work in a fork.
    """
    printed, sockets = os.memfd_create("printed"), _sockets()
    real = [os.dup(1), os.dup(2)]
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    for name in names:
        with contextlib.suppress(Exception):  # the function meets it, too, where it imports the module
            importlib.import_module(name)
    sys.stdout.flush()
    for number, handle in enumerate(real, start=1):
        os.dup2(handle, number)
        os.close(handle)
    threads = _threads() - _HARMLESS_THREADS
    if threads or _sockets() != sockets:
        raise Unsafe(f"the imports left threads ({', '.join(sorted(threads))}) or connections behind")
    os.lseek(printed, 0, os.SEEK_SET)
    with open(printed, "rb") as file:  # noqa: PTH123
        return file.read()


def parse_models(files: "list[str]") -> None:
    """Parse data files of botocore, each for the first one in a fork who reads it; they are a third of a cold start.

    Another reader parses it again, because botocore changes what it has read.
    """
    loader = getattr(sys.modules.get("botocore.loaders"), "JSONFileLoader", None)
    if loader is None:
        return
    from_disk = loader.load_file
    parsed = {file: from_disk(loader(), file) for file in files if file.startswith((_OPT, sys.prefix))}

    def load_file(self: object, file_path: str) -> object:
        found = parsed.pop(file_path, None)
        return from_disk(self, file_path) if found is None else found

    loader.load_file = load_file


def _threads() -> "set[str]":
    """Names of this process's threads but the first."""
    found = set()
    for thread in os.listdir("/proc/self/task"):  # noqa: PTH208
        if int(thread) != os.getpid():
            with open(f"/proc/self/task/{thread}/comm") as file:  # noqa: PTH123
                found.add(file.read().strip())
    return found


def _sockets() -> int:
    """How many connections this process has."""
    found = 0
    for handle in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):  # the listing's own
            found += os.readlink(f"/proc/self/fd/{handle}").startswith("socket:")  # noqa: PTH115
    return found


def serve(handle: int) -> str:
    """Answer requests on a socket (its descriptor). Returns in each fork, and never in this process.

    A fork has a session, the output and the variables of its own; returns the name of the folder that becomes its /tmp.
    """
    channel = socket.socket(fileno=handle)
    names = json.loads(channel.recv(_REQUEST))["load"]
    try:
        printed = load(modules_of_packages([name for name in names if not name.startswith("/")]))
        parse_models([name for name in names if name.startswith("/")])
    except Exception as unsafe:  # noqa: BLE001 - environments begin without a fork then, and the engine says why
        channel.send(json.dumps({"unsafe": repr(unsafe)}).encode())
        os._exit(0)
    gc.collect()
    gc.freeze()  # what all forks share is not looked at by any, so that it stays shared
    channel.send(b'{"ready": true}')
    while True:
        message, handles, _, _ = socket.recv_fds(channel, _REQUEST, 1)
        if not message:
            os._exit(0)
        request = json.loads(message)
        if "reap" in request:
            _, status = os.waitpid(request["reap"], 0)
            channel.send(json.dumps({"status": os.waitstatus_to_exitcode(status)}).encode())
            continue
        with warnings.catch_warnings(action="ignore"):  # of the harmless threads
            pid = os.fork()
        if not pid:
            channel.close()
            _become(request["fork"]["variables"], handles[0])
            os.write(1, printed)
            return str(request["fork"]["name"])
        os.close(handles[0])
        channel.send(json.dumps({"pid": pid}).encode())


def _become(variables: "dict[str, str]", output: int) -> None:
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.update(variables)
    if "numpy" in sys.modules:  # Python's own generator has a new seed in each fork; that of numpy has not
        sys.modules["numpy"].random.seed()
