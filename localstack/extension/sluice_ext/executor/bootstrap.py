"""First code of every function process. It runs in the Lambda runtime's interpreter and uses the standard library only.

It makes the process end when the engine ends, even when the engine is killed; shows it the file system of Lambda where
the kernel lets an ordinary user do that (code in /var/task and layers in /opt, both read-only, and a /tmp of its own);
and starts awslambdaric, AWS's runtime interface client.

Arguments: engine pid, folder for /tmp, folder for /var/task, folder for /opt, other paths to keep visible
(os.pathsep-joined), handler. An empty folder for /tmp: no file system of its own; an empty one for /var/task: only
/tmp.
The handler "--probe": end after the file system is made (status 0). A further argument: "report:" and a descriptor to
which the names of the modules go that were imported with the handler, and those of the data files that botocore has
read; "serve:" and a socket's descriptor for a process that forks environments (fork_server.py); anything else says that
the wrapper has run (the folder of /tmp, by which the host finds the process).
"""

import os
import sys

TYPE_CHECKING = False  # typing itself would cost start-up time
if TYPE_CHECKING:
    import ctypes

_PR_SET_PDEATHSIG, _SIGKILL = 1, 9
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
# What statvfs says of a mount -> the flag that a remount must repeat, because a user namespace may not drop it.
_LOCKED = ((2, 2), (4, 4), (8, 8), (1024, 1024), (2048, 2048), (4096, 1 << 21))
_TASK, _OPT, _TMP = "/var/task", "/opt", "/tmp"


class _Mounts:
    """The mounts of a namespace of this process's own. Raises OSError when the kernel does not allow it."""

    def __init__(self, libc: "ctypes.CDLL") -> None:
        self._libc = libc
        uid, gid = os.getuid(), os.getgid()
        if libc.unshare(_CLONE_NEWNS) != 0:
            if libc.unshare(_CLONE_NEWNS | _CLONE_NEWUSER) != 0:
                raise OSError("no mount namespace")
            for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib would cost start-up time
                    file.write(text)
        self._mount("none", "/", None, _MS_REC | _MS_PRIVATE)

    def _mount(self, source: str, target: str, kind: "bytes | None", flags: int) -> None:
        if self._libc.mount(os.fsencode(source), os.fsencode(target), kind, flags, None) != 0:
            raise OSError(f"cannot mount {source} on {target}")

    def empty(self, target: str) -> None:
        """An empty folder in memory."""
        self._mount("none", target, b"tmpfs", 0)

    def show(self, source: str, target: str) -> None:
        """``source`` with everything that is mounted below it, at ``target``."""
        self._mount(source, target, None, _MS_BIND | _MS_REC)

    def protect(self, target: str) -> None:
        """Read-only from now on."""
        present = os.statvfs(target).f_flag
        flags = sum(flag for known, flag in _LOCKED if present & known)
        self._mount("none", target, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY | flags)


def _isolate(libc: "ctypes.CDLL", tmp: str, task: str, opt: str, keep: "list[str]") -> None:
    mounts = _Mounts(libc)
    # Handles, because the folders may be below what is covered here.
    held = {path: f"/proc/self/fd/{os.open(path, os.O_PATH)}" for path in (tmp, task, opt, *keep) if path}
    if task:
        # /var/task need not exist: /var becomes a folder with it and what was there, made where /tmp will be.
        mounts.empty(_TMP)
        for entry in os.scandir("/var"):
            place = f"{_TMP}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)  # noqa: PTH115, PTH211
            elif entry.is_dir() and place != f"{_TMP}/task":
                os.mkdir(place)  # noqa: PTH102
                mounts.show(entry.path, place)
        os.mkdir(f"{_TMP}/task")  # noqa: PTH102
        mounts.show(_TMP, "/var")
        mounts.show(held[task], _TASK)
        mounts.protect(_TASK)
        _show_layers(mounts, held.get(opt, ""), [path for path in keep if path.startswith(f"{_OPT}/")], held)
    mounts.show(held[tmp], _TMP)
    for path in keep:
        if path.startswith((f"{_TMP}/", "/var/task/")):
            os.makedirs(path, exist_ok=True)  # noqa: PTH103
            mounts.show(held[path], path)
    if task:
        mounts.protect("/var")
    for handle in held.values():
        os.close(int(handle.rsplit("/", 1)[-1]))


def _show_layers(mounts: _Mounts, layers: str, keep: "list[str]", held: "dict[str, str]") -> None:
    """/opt has the layers, and what the interpreter needs of the real one."""
    if layers and not keep:
        mounts.show(layers, _OPT)
    else:
        mounts.empty(_OPT)
        for entry in os.scandir(layers) if layers else ():
            place = f"{_OPT}/{entry.name}"
            if entry.is_dir():
                os.mkdir(place)  # noqa: PTH102
            else:
                os.close(os.open(place, os.O_CREAT))
            mounts.show(entry.path, place)
        for path in keep:
            os.makedirs(path, exist_ok=True)  # noqa: PTH103
            mounts.show(held[path], path)
    mounts.protect(_OPT)


def _wrap(wrapper: str, command: "list[str]") -> None:
    """Become the program that starts the runtime; with what AWS says and exits with when there is none.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html#runtime-wrapper
    """
    if not os.path.isfile(wrapper):  # noqa: PTH113
        print(f"{wrapper}: does not exist", flush=True)
        os._exit(127)
    if not os.access(wrapper, os.X_OK):
        print(f"{wrapper}: is not an executable", flush=True)
        os._exit(126)
    os.execv(wrapper, [wrapper, *command])


def _end_with(libc: "ctypes.CDLL", parent: int) -> None:
    """Be killed when the parent ends. After unshare, because changing credentials clears the signal."""
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _report(handle: int) -> None:
    """Tell the engine, once the handler is imported, which modules and data files there are: "a\\nb\\n/c\\n\\n"."""
    import contextlib

    from awslambdaric import bootstrap

    get_handler = bootstrap._get_handler

    def get(handler: str) -> object:
        found = get_handler(handler)
        os.set_blocking(handle, False)  # very many names are cut off; then the engine does not use them
        with contextlib.suppress(OSError):  # the engine has stopped reading
            os.write(handle, "".join(f"{name}\n" for name in [*sys.modules, *_data_files(), ""]).encode())
        os.close(handle)
        return found

    bootstrap._get_handler = get


def _data_files() -> "list[str]":
    """What botocore's loaders have read, as they name it: models of services and their endpoints."""
    import gc

    loader = getattr(sys.modules.get("botocore.loaders"), "Loader", None)
    caches = [vars(one).get("_cache", {}) for one in gc.get_objects() if loader and type(one) is loader]
    return [read[1] for cache in caches for key, read in cache.items() if key[0] == "load_data_with_path"]


def main() -> None:
    engine, tmp, task, opt, keep, handler = sys.argv[1:7]
    mode, _, handle = sys.argv[7].partition(":") if len(sys.argv) > 7 else ("", "", "")
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    kept = [path for path in keep.split(os.pathsep) if path]
    if mode == "serve":
        import fork_server  # type: ignore[import-not-found]  # from this script's folder

        del sys.modules[fork_server.__name__]  # a function may have a module of that name
        os.chdir(os.path.dirname(tmp))  # noqa: PTH120
    if tmp:
        _isolate(libc, tmp, task, opt, kept)
    environments = os.open(".", os.O_PATH) if mode == "serve" else -1
    _end_with(libc, int(engine))
    if handler == "--probe":
        return
    task_root = os.environ["LAMBDA_TASK_ROOT"]
    os.chdir(task_root)
    wrapper = os.environ.get("AWS_LAMBDA_EXEC_WRAPPER")
    if wrapper and not mode:
        _wrap(wrapper, [sys.executable, "-s", sys.argv[0], engine, "", "", "", "", handler, tmp or "wrapped"])
    # The interpreter put this script's folder first; on AWS the task root is first.
    sys.path[0] = task_root
    # What was not there before the mounts is looked for again.
    sys.path_importer_cache.clear()
    sys.argv = ["/var/runtime/bootstrap.py", handler]

    if mode == "serve":
        server = os.getpid()
        own_tmp = fork_server.serve(int(handle))
        # A new namespace goes on with this process's folder, and with no other descriptor of the old one.
        os.fchdir(environments)
        _isolate(libc, f"./{own_tmp}", "", "", kept)
        _end_with(libc, server)
        os.close(environments)
        os.chdir(task_root)
    elif mode == "report":
        _report(int(handle))

    from awslambdaric import __main__ as runtime

    runtime.main(sys.argv)


if __name__ == "__main__":
    main()
