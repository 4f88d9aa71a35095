"""Set-up: makes the environments every other verb runs in. Standard library only, any Python from 3.8 on.

The Makefile runs this file before every target, with whatever `python3` the machine has; a finished set-up answers in
a fraction of a second because it compares content hashes and imports nothing heavy. What it makes, all in `.sluice/`:

    host/                the environment of `sluice` itself, pytest, ruff and mypy   (requirements/host.txt)
    engine/              LocalStack, Sluice's extension and PostgreSQL                (localstack/requirements.txt)
    runtimes/python3.13/ what AWS's managed Lambda runtime holds, no more  (localstack/runtime/requirements.txt)
    bin/                 uv and terraform, where the machine has none

Package indexes, proxies and certificates are the machine's own: nothing about them is stored in the project.
"""

import ast
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple
from urllib.error import URLError
from urllib.request import urlopen

PYTHON_VERSION = "3.13"  # the Lambda runtime is python3.13, and LocalStack needs 3.12 or later
SCHEMA = "1"  # part of every stamp: raise it when this file starts to install something differently

TERRAFORM_VERSION = "1.11.4"
TERRAFORM_URL = "https://releases.hashicorp.com/terraform"
TERRAFORM_SHA256 = {  # of terraform_1.11.4_<platform>.zip, from HashiCorp's terraform_1.11.4_SHA256SUMS
    "linux_amd64": "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc",
    "linux_arm64": "a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633",
    "darwin_amd64": "a56d5002b9f7647291faccc3dd1a70350e60fb61e4c45037629508b8fdc2575b",
    "darwin_arm64": "867e0808fa971217043e25b7a792b10720c79b1546f8a68479b74f138be73e18",
}
# What infra/stack/versions.tf asks for.
TERRAFORM_MINIMUM = {"terraform": (1, 9), "tofu": (1, 9)}

# Large packages that LocalStack brings along and no start imports; compiled when they are first used.
NOT_COMPILED = (
    r"/(sympy|networkx|cfnlint|awscli|amazon_kclpy|samtranslator|opensearchpy|opensearch_protobufs|mpmath|pymongo|grpc"
    r"|docutils|graphql|mypy_boto3_\w+|hypothesis|mypy|tests?)/"
)


class SetupError(Exception):
    """Set-up cannot go on; the message is one line that says what to do."""


class Env(NamedTuple):
    """One environment: its folder, its lock file and what is installed beside the lock."""

    name: str
    folder: Path
    lock: Path
    editable: Tuple[Path, ...] = ()
    paths: Tuple[Path, ...] = ()


def environments(root: Path) -> List[Env]:
    """The environments of a checkout. Those whose lock is not there yet are left out."""
    made = root / ".sluice"
    envs = [
        Env("host tool", made / "host", root / "requirements/host.txt", (), (root, root / "lambdas/shared")),
        Env("engine", made / "engine", root / "localstack/requirements.txt", (root / "localstack/extension",)),
        Env("Lambda runtime", made / "runtimes/python3.13", root / "localstack/runtime/requirements.txt"),
    ]
    return [env for env in envs if env.lock.exists()]


# -- fast path -------------------------------------------------------------------------------------------------------


def stamp_of(env: Env, root: Path) -> str:
    """Content hash of everything that decides what the environment holds, this checkout's place included."""
    digest = hashlib.sha256((SCHEMA + "\0" + PYTHON_VERSION + "\0" + str(root)).encode())
    digest.update(env.lock.read_bytes())
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


def terraform_on_path() -> Optional[str]:
    return shutil.which("terraform") or shutil.which("tofu")


def terraform_is_fresh(root: Path) -> bool:
    """True when the Terraform found last time is the one that would be found now, unchanged."""
    try:
        seen = json.loads((root / ".sluice/bin/terraform.json").read_text())
        stat = os.stat(seen["path"])
    except (OSError, ValueError, KeyError):
        return False
    unchanged = seen.get("mtime") == stat.st_mtime and seen.get("size") == stat.st_size
    return bool(unchanged and seen.get("on_path") == terraform_on_path())


# -- the machine's tools ---------------------------------------------------------------------------------------------


def run(command: Sequence[object], env: Optional[Dict[str, str]] = None, log: Optional[Path] = None) -> str:
    """Runs a command and returns what it printed; raises SetupError with its last line when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    text = done.stdout.decode(errors="replace")
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as out:
            out.write("$ " + " ".join(words) + "\n" + text + "\n")
    if done.returncode != 0:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        where = " (all of it: {})".format(log) if log is not None else ""
        raise SetupError("{} failed: {}{}".format(Path(words[0]).name, lines[-1] if lines else "no output", where))
    return text


def answers(command: Sequence[str]) -> Optional[str]:
    """What a command prints, or None when it fails or is not there: a pyenv shim may exist and still not run."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None


def python_candidates() -> Iterator[str]:
    """Places where a Python 3.13 may be, in the order in which they are tried."""
    yield sys.executable
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield os.path.join(folder, "python" + PYTHON_VERSION)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in sorted(pyenv.glob(PYTHON_VERSION + ".*"), reverse=True):
        yield str(version / "bin" / "python")
    uv = shutil.which("uv")
    if uv:
        yield answers([uv, "python", "find", "--no-project", "--managed-python", PYTHON_VERSION]) or ""


def find_python(candidates: Optional[Iterator[str]] = None) -> str:
    """Path of a Python 3.13 that really runs. Raises SetupError when the machine has none."""
    probe = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for candidate in candidates if candidates is not None else python_candidates():
        if not candidate or not os.access(candidate, os.X_OK):
            continue
        version, _, path = (answers([candidate, "-I", "-c", probe]) or "").partition(" ")
        if version == PYTHON_VERSION and path:
            return path
    raise SetupError(
        "Python {0} is missing: install it (for example `uv python install {0}`, `pyenv install {0}`,"
        " or your system's package python{0})".format(PYTHON_VERSION)
    )


def pip_settings(python: str) -> Dict[str, str]:
    """The machine's pip settings as uv's variables, for uv does not read pip's configuration files.

    A variable that the user has set for uv is left alone.
    """
    found: Dict[str, str] = {}
    # An environment made by uv has no pip; the interpreter it was made from, or the machine's pip, knows the same files.
    base = os.path.join(sys.base_prefix, "bin", "python3")
    pips = ([python, "-m", "pip"], [base, "-m", "pip"], ["pip3"], ["pip"])
    listed = next((text for text in (answers([*pip, "config", "list"]) for pip in pips) if text is not None), "")
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        try:
            found[key.rpartition(".")[2]] = str(ast.literal_eval(value))
        except (ValueError, SyntaxError):
            continue
    wanted: Dict[str, str] = {}
    if "index-url" in found:
        wanted["UV_DEFAULT_INDEX"] = found["index-url"]
    if "extra-index-url" in found:
        # pip takes the best match of all indexes; uv stops at the first index that knows the name unless told so.
        wanted["UV_INDEX"] = " ".join(found["extra-index-url"].split())
        wanted["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if "trusted-host" in found:
        wanted["UV_INSECURE_HOST"] = " ".join(found["trusted-host"].split())
    if "cert" in found:
        wanted["SSL_CERT_FILE"] = found["cert"]
    overruled = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
    return {k: v for k, v in wanted.items() if k not in os.environ and overruled.get(k, k) not in os.environ}


def uv_environment(python: str) -> Dict[str, str]:
    """The environment uv runs in: this process's, and pip's settings where uv has none."""
    env = dict(os.environ, UV_NO_PROGRESS="1", UV_PYTHON_DOWNLOADS="never", NO_COLOR="1")
    env.pop("VIRTUAL_ENV", None)
    env.update(pip_settings(python))
    return env


def find_uv(root: Path, python: str, log: Path) -> str:
    """Path of uv: the machine's, or one installed with pip into .sluice/bin from a lock with hashes."""
    on_path = shutil.which("uv")
    version = re.match(r"uv (\d+)\.(\d+)", answers([on_path, "--version"]) or "") if on_path else None
    if on_path and version and (int(version.group(1)), int(version.group(2))) >= (0, 5):
        return on_path
    folder = root / ".sluice/bin/uv-env"
    if not answers([str(folder / "bin/uv"), "--version"]):
        shutil.rmtree(str(folder), ignore_errors=True)
        try:
            run([python, "-m", "venv", folder], log=log)
        except SetupError:
            raise SetupError("{} cannot make environments: install its venv module or uv".format(python)) from None
        run([folder / "bin/python", "-m", "pip", "install", "--require-hashes", "-qr", root / "requirements/uv.txt"],
            log=log)  # fmt: skip
    return str(folder / "bin/uv")


# -- environments ----------------------------------------------------------------------------------------------------


def build_environment(env: Env, root: Path, python: str, uv: str, log: Path) -> None:
    """Makes or updates one environment. One that was left half-way is made anew."""
    stamp = env.folder / ".stamp"
    variables = uv_environment(python)
    if stamp.exists() and answers([str(env.folder / "bin/python"), "-V"]):
        stamp.unlink()
    else:
        shutil.rmtree(str(env.folder), ignore_errors=True)
        run([uv, "venv", "-q", "--no-project", "--python", python, env.folder], variables, log)
    target = ["--python", env.folder / "bin/python"]
    constraints = ["--build-constraints", root / "requirements/build.txt"]
    run([uv, "pip", "sync", "-q", *target, *constraints, env.lock], variables, log)
    for package in env.editable:
        if (package / "pyproject.toml").exists():
            install = [uv, "pip", "install", "-q", "--no-deps", *constraints, *target, "-e", package]
            run(install, variables, log)
    if env.paths:
        link_project(env)
    compile_modules(env)
    stamp.write_text(stamp_of(env, root))


def compile_modules(env: Env) -> None:
    """Compiles what a start imports, so that the first is as fast as the second. Nobody minds a source that fails."""
    command = [str(env.folder / "bin/python"), "-m", "compileall", "-qq", "-j", "0", "-x", NOT_COMPILED]
    subprocess.run([*command, str(env.folder / "lib")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def link_project(env: Env) -> None:
    """Puts the checkout on the environment's path and the `sluice` command in its bin: nothing is copied or built."""
    site = next(iter(env.folder.glob("lib/python3*/site-packages")))
    (site / "_sluice_checkout.pth").write_text("".join("{}\n".format(path) for path in env.paths))
    script = env.folder / "bin/sluice"
    script.write_text("#!{}\nfrom sluice.cli import main\n\nmain()\n".format(env.folder / "bin/python"))
    script.chmod(0o755)


# -- terraform -------------------------------------------------------------------------------------------------------


def terraform_platform() -> str:
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    return "{}_{}".format(platform.system().lower(), machine.get(platform.machine().lower(), platform.machine()))


def usable_version(path: str) -> Optional[str]:
    """Version of a terraform or tofu that runs and is new enough, else None."""
    try:
        version = str(json.loads(answers([path, "version", "-json"]) or "{}").get("terraform_version", ""))
        numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:2])
    except ValueError:
        return None
    return version if numbers >= TERRAFORM_MINIMUM[os.path.basename(path)] else None


def download_terraform(
    folder: Path,
    url: str = TERRAFORM_URL,
    checksums: Optional[Dict[str, str]] = None,
    platform_name: Optional[str] = None,
) -> Path:
    """Downloads Terraform at the pinned version, checks its SHA-256 before unpacking, and returns its path."""
    name = platform_name or terraform_platform()
    expected = (TERRAFORM_SHA256 if checksums is None else checksums).get(name)
    install = "install terraform {} or later".format(".".join(map(str, TERRAFORM_MINIMUM["terraform"])))
    if expected is None:
        raise SetupError("terraform is missing and none is pinned for {}: {}".format(name, install))
    address = "{0}/{1}/terraform_{1}_{2}.zip".format(url, TERRAFORM_VERSION, name)
    folder.mkdir(parents=True, exist_ok=True)
    partial, target = folder / "terraform.zip.part", folder / "terraform"
    try:
        digest = hashlib.sha256()
        with urlopen(address, timeout=60) as response, partial.open("wb") as out:
            for block in iter(lambda: response.read(1 << 20), b""):
                digest.update(block)
                out.write(block)
        if digest.hexdigest() != expected:
            raise SetupError(
                "{} has SHA-256 {}, expected {}: {}".format(address, digest.hexdigest(), expected, install)
            )
        with zipfile.ZipFile(str(partial)) as archive, archive.open("terraform") as source:
            unpacked = folder / "terraform.part"
            with unpacked.open("wb") as out:
                shutil.copyfileobj(source, out)
        unpacked.chmod(0o755)
        unpacked.replace(target)
    except (URLError, OSError, zipfile.BadZipFile, KeyError) as error:
        raise SetupError("terraform is missing and {} cannot be had ({}): {}".format(address, error, install)) from None
    finally:
        if partial.exists():
            partial.unlink()
    return target


def ensure_terraform(root: Path) -> str:
    """Finds or downloads Terraform, remembers which, and returns what to print about it."""
    folder = root / ".sluice/bin"
    on_path = terraform_on_path()
    chosen, version = on_path, usable_version(on_path) if on_path else None
    if version is None:
        tofu = shutil.which("tofu")
        chosen, version = tofu, usable_version(tofu) if tofu else None
    if version is None or chosen is None:
        chosen = str(folder / "terraform")
        version = usable_version(chosen) if os.path.exists(chosen) else None
        if version != TERRAFORM_VERSION:
            download_terraform(folder)
            version = TERRAFORM_VERSION
    stat = os.stat(chosen)
    folder.mkdir(parents=True, exist_ok=True)
    seen = {"path": chosen, "version": version, "mtime": stat.st_mtime, "size": stat.st_size, "on_path": on_path}
    (folder / "terraform.json").write_text(json.dumps(seen))
    return "{} {}".format(os.path.basename(chosen), version)


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


def setup(root: Path) -> bool:
    """Brings the checkout's environments up to date. Returns False when there was nothing to do."""

    def pending() -> List[Env]:
        return [env for env in environments(root) if not is_fresh(env, root)]

    if not pending() and terraform_is_fresh(root):
        return False
    with locked(root / ".sluice"):
        log = root / ".sluice/setup.log"
        if not terraform_is_fresh(root):
            step("terraform", lambda: ensure_terraform(root))
        stale = pending()
        if stale:
            python = find_python()
            uv = find_uv(root, python, log)
            for env in stale:
                step(env.name, lambda env=env: build_environment(env, root, python, uv, log))  # type: ignore[misc]
    return True


def main(arguments: Sequence[str]) -> int:
    """Entry point: `bootstrap.py [--root DIR] [--verbose]`. Exit code 1 and one line when set-up cannot go on."""
    root = Path(__file__).resolve().parent.parent
    if "--root" in arguments:
        root = Path(arguments[list(arguments).index("--root") + 1]).resolve()
    started = time.time()
    try:
        changed = setup(root)
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
