"""Set-up: makes the environments every other verb runs in. Standard library only, any Python from 3.8 on.

The Makefile runs this file before every target, with whatever `python3` the machine has; a finished set-up answers in
a fraction of a second because it compares content hashes and imports nothing heavy. What it makes, all in `.sluice/`:

    host/                the environment of `sluice` itself, pytest, ruff and mypy   (requirements/host.txt)
    engine/              LocalStack, Sluice's extension and PostgreSQL                (localstack/requirements.txt)
    runtimes/python3.13/ what AWS's managed Lambda runtime holds, no more  (localstack/runtime/requirements.txt)
    runtimes/glue-pythonshell/  what a Python shell job of Glue finds      (localstack/glue/pythonshell.txt)
    runtimes/glue-spark/ Spark and what a Spark job of Glue finds          (localstack/glue/spark.txt)
    docs/                the builder of the documentation's site           (requirements/docs.txt)
    bin/                 uv and terraform, where the machine has none

Those of Glue are made when they are asked for: by the first job that needs one, or by `sluice setup --spark`; docs by
`sluice docs`.

Package indexes, proxies and certificates are the machine's own: nothing about them is stored in the project.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Sequence, Tuple

if __package__ in (None, ""):  # run as a file, isolated from the environment: the checkout is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sluice.setup.machine import PYTHON_VERSION, SetupError, answers, find_python, find_uv, run, uv_environment
from sluice.setup.terraform_binary import ensure_terraform, terraform_is_fresh

SCHEMA = "2"  # part of every stamp: raise it when this file starts to install something differently

# Large packages that LocalStack brings along and no start imports; compiled when they are first used.
NOT_COMPILED = (
    r"/(sympy|networkx|cfnlint|awscli|amazon_kclpy|samtranslator|opensearchpy|opensearch_protobufs|mpmath|pymongo|grpc"
    r"|docutils|graphql|mypy_boto3_\w+|hypothesis|mypy|tests?)/"
)


GLUE_SHELL, GLUE_SPARK, DOCS = "Glue shell", "Glue Spark", "documentation"


class Env(NamedTuple):
    """One environment: its folder, its lock file and what is installed beside the lock."""

    name: str
    folder: Path
    lock: Path
    editable: Tuple[Path, ...] = ()
    paths: Tuple[Path, ...] = ()
    on_demand: bool = False


def environments(root: Path) -> List[Env]:
    """The environments of a checkout. Those whose lock is not there yet are left out."""
    made = root / ".sluice"
    # The functions' packages are importable as they are in a zip.
    checkout = (root, root / "lambdas", root / "lambdas/shared")
    envs = [
        Env("host tool", made / "host", root / "requirements/host.txt", (), checkout),
        Env("engine", made / "engine", root / "localstack/requirements.txt", (root / "localstack/extension",)),
        Env("Lambda runtime", made / "runtimes/python3.13", root / "localstack/runtime/requirements.txt"),
        Env(GLUE_SHELL, made / "runtimes/glue-pythonshell", root / "localstack/glue/pythonshell.txt", on_demand=True),
        Env(GLUE_SPARK, made / "runtimes/glue-spark", root / "localstack/glue/spark.txt", on_demand=True),
        Env(DOCS, made / "docs", root / "requirements/docs.txt", on_demand=True),
    ]
    return [env for env in envs if env.lock.exists()]


# -- fast path -------------------------------------------------------------------------------------------------------


def stamp_of(env: Env, root: Path) -> str:
    """Content hash of everything that decides what the environment holds, this checkout's place included."""
    digest = hashlib.sha256((SCHEMA + "\0" + PYTHON_VERSION + "\0").encode() + os.fsencode(root))
    digest.update(env.lock.read_bytes())
    digest.update(b"\0".join(map(os.fsencode, env.paths)))
    for package in env.editable:
        project = package / "pyproject.toml"
        digest.update(project.read_bytes() if project.exists() else b"-")
    return digest.hexdigest()


def is_fresh(env: Env, root: Path) -> bool:
    """True when the environment was finished from exactly these inputs and its interpreter is still there."""
    stamp = env.folder / ".stamp"
    try:
        return stamp.read_text() == stamp_of(env, root) and (env.folder / "bin/python").exists()
    except OSError:
        return False


# -- environments ----------------------------------------------------------------------------------------------------


def build_environment(env: Env, root: Path, python: str, uv: str, log: Path) -> None:
    """Makes or updates one environment. One that was left half-way, or made elsewhere (its commands name that place),
    is made again."""
    stamp, place = env.folder / ".stamp", env.folder / ".place"
    variables = uv_environment(python)
    here = os.fsencode(env.folder)
    if stamp.exists() and _read(place) == here and answers([str(env.folder / "bin/python"), "-V"]):
        stamp.unlink()
    else:
        shutil.rmtree(str(env.folder), ignore_errors=True)
        run([uv, "venv", "-q", "--no-project", "--python", python, env.folder], variables, log)
        place.write_bytes(here)
    target = ["--python", env.folder / "bin/python"]
    constraints = ["--build-constraints", root / "requirements/build.txt"]
    run([uv, "pip", "sync", "-q", *target, *constraints, env.lock], variables, log)
    for package in env.editable:
        if (package / "pyproject.toml").exists():
            # Not by its path, in which uv takes a # for a comment.
            install = [uv, "pip", "install", "-q", "--no-deps", *constraints, *target, "-e", "."]
            run(install, variables, log, cwd=package)
    if env.paths:
        link_project(env)
    compile_modules(env)
    stamp.write_text(stamp_of(env, root))


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def compile_modules(env: Env) -> None:
    """Compiles what a start imports, so that the first is as fast as the second. A source that fails is skipped."""
    command = [str(env.folder / "bin/python"), "-m", "compileall", "-qq", "-j", "0", "-x", NOT_COMPILED]
    subprocess.run([*command, str(env.folder / "lib")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def link_project(env: Env) -> None:
    """Puts the checkout on the environment's path and the `sluice` command in its bin: nothing is copied or built."""
    site = next(iter(env.folder.glob("lib/python3*/site-packages")))
    (site / "_sluice_checkout.pth").write_bytes(os.fsencode("".join("{}\n".format(path) for path in env.paths)))
    script = env.folder / "bin/sluice"
    script.write_bytes(os.fsencode(launcher(env.folder / "bin/python")))
    script.chmod(0o755)


def launcher(python: Path) -> str:
    """The `sluice` command: a script of the shell and of Python at once, as pip and uv write them, because a first
    line `#!` is cut at a blank and after 127 bytes. -I: variables and packages of other Python projects are not for it.
    """
    quoted = shlex.quote(str(python)).replace("\\", "\\\\")
    return "#!/bin/sh\n'''exec' {} -I -X utf8 \"$0\" \"$@\"\n' '''\nfrom sluice.cli import main\n\nmain()\n".format(
        quoted
    )


# -- all of it -------------------------------------------------------------------------------------------------------


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One set-up at a time per checkout; the second waits and then finds nothing left to do."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".setup.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def step(title: str, work: Callable[[], object]) -> None:
    """Runs one step between a line that names it and its time."""
    started = time.time()
    print("setup   {:<16}".format(title), end="", flush=True, file=sys.stderr)
    try:
        result = work()
    except BaseException:
        print(" failed", file=sys.stderr)
        raise
    note = " {}".format(result) if result else ""
    print(" ready in {:.1f} s{}".format(time.time() - started, note), file=sys.stderr)


def setup(root: Path, only: Sequence[str] = ()) -> bool:
    """Brings the checkout's environments up to date. Returns False when there was nothing to do.

    only: names of environments; then no other is made, and terraform is left alone. Without it those are left out
    that are made on demand.
    """

    def pending() -> List[Env]:
        wanted = [env for env in environments(root) if (env.name in only if only else not env.on_demand)]
        return [env for env in wanted if not is_fresh(env, root)]

    if not pending() and (only or terraform_is_fresh(root)):
        return False
    with locked(root / ".sluice"):
        log = root / ".sluice/setup.log"
        if not (only or terraform_is_fresh(root)):
            step("terraform", lambda: ensure_terraform(root))
        stale = pending()
        if stale:
            python = find_python()
            uv = find_uv(root, python, log)
            for env in stale:
                step(env.name, lambda env=env: build_environment(env, root, python, uv, log))  # type: ignore[misc]
    return True


def check_path(root: Path) -> None:
    """Raises SetupError for a path that is no UTF-8, or in which PATH, or a shell command of PostgreSQL's own programs,
    would end too early."""
    try:
        os.fsencode(root).decode("utf-8")
    except UnicodeDecodeError:
        message = "the path of the checkout is not UTF-8: move it to another folder: {!r}".format(str(root))
        raise SetupError(message) from None
    found = next((char for char in '"$`\\:\n' if char in str(root)), "")
    if found:
        raise SetupError("the path of the checkout has a {} in it: move it to another folder: {!r}".format(
            "line end" if found == "\n" else found, str(root)))  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Entry point: `bootstrap.py [--root DIR] [--only ENVIRONMENT]... [--verbose]`.

    Exit code 1 and one line when set-up cannot go on.
    """
    root = Path(__file__).resolve().parents[2]
    if "--root" in arguments:
        root = Path(arguments[list(arguments).index("--root") + 1]).resolve()
    started = time.time()
    try:
        check_path(root)
        words = list(arguments)
        changed = setup(root, [words[place + 1] for place, word in enumerate(words[:-1]) if word == "--only"])
    except SetupError as error:
        print("sluice: {}".format(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sluice: set-up interrupted; run it again to go on", file=sys.stderr)
        return 130
    if "--verbose" in arguments and not changed:
        print("set-up is complete ({:.2f} s)".format(time.time() - started), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
