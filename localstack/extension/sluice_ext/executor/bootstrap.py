"""First code of every function process. It runs in the Lambda runtime's interpreter and uses the standard library only.

It makes the process end when the engine ends, even when the engine is killed; gives it its own /tmp where the kernel
lets an ordinary user do that; and starts awslambdaric, AWS's runtime interface client.

Arguments: engine pid, private tmp folder ("" = none), paths to keep visible below /tmp (os.pathsep-joined), handler.
"""

import os
import sys

TYPE_CHECKING = False  # typing itself would cost start-up time
if TYPE_CHECKING:
    import ctypes

_PR_SET_PDEATHSIG, _SIGKILL = 1, 9
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18


def _private_tmp(libc: "ctypes.CDLL", folder: str, keep: list[str]) -> bool:
    """Mount ``folder`` over /tmp for this process only; what it needs from the real /tmp is bound back in."""
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNS) != 0:
        if libc.unshare(_CLONE_NEWNS | _CLONE_NEWUSER) != 0:
            return False
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib would cost start-up time
                file.write(text)
    if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return False
    handles = [(path, os.open(path, os.O_PATH)) for path in keep]
    if libc.mount(os.fsencode(folder), b"/tmp", None, _MS_BIND, None) != 0:
        return False
    for path, handle in handles:
        os.makedirs(path, exist_ok=True)  # noqa: PTH103
        if libc.mount(f"/proc/self/fd/{handle}".encode(), os.fsencode(path), None, _MS_BIND | _MS_REC, None) != 0:
            raise OSError(f"cannot keep {path} visible")
        os.close(handle)
    return True


def main() -> None:
    engine, tmp, keep, handler = sys.argv[1:5]
    task_root = os.environ["LAMBDA_TASK_ROOT"]
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        isolated = bool(tmp) and _private_tmp(libc, tmp, [p for p in keep.split(os.pathsep) if p])
        # After unshare: changing credentials clears the parent-death signal.
        libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    except (ImportError, OSError):
        isolated = False
    if os.getppid() != int(engine):
        os._exit(1)
    if tmp and not isolated:
        os.environ["TMPDIR"] = tmp
    os.chdir(task_root)
    # The interpreter put this script's folder first; on AWS the task root is first.
    sys.path[0] = task_root
    sys.argv = ["/var/runtime/bootstrap.py", handler]

    from awslambdaric import __main__ as runtime

    runtime.main(sys.argv)


if __name__ == "__main__":
    main()
