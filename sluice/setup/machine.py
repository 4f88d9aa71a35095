"""What set-up needs from the machine: commands, a Python 3.13, uv, and the package settings that are the user's own.

Standard library only, any Python from 3.8 on (see sluice/setup/bootstrap.py).
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, Optional, Sequence

PYTHON_VERSION = "3.13"  # the Lambda runtime is python3.13, and LocalStack needs 3.12 or later


class SetupError(Exception):
    """Set-up cannot go on; the message is one line that says what to do."""


def run(
    command: Sequence[object],
    env: Optional[Dict[str, str]] = None,
    log: Optional[Path] = None,
    cwd: Optional[Path] = None,
) -> str:
    """Runs a command and returns what it printed; raises SetupError with its last line when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    text = done.stdout.decode(errors="replace")
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="replace") as out:
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
    pyenv = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")) / "versions"
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
    """The machine's pip settings as uv's variables, because uv does not read pip's configuration files.

    A variable that the user has set for uv is left alone.
    """
    found: Dict[str, str] = {}
    # An environment made by uv has no pip; the interpreter it came from, or the machine's pip, reads the same files.
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
        # pip takes the best match of all indexes; uv stops at the first index that knows the name by default.
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
    for name in ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT", "UV_SYSTEM_PYTHON"):
        env.pop(name, None)
    env.update(pip_settings(python))
    env.update(cache_settings())
    return env


def cache_settings() -> Dict[str, str]:
    """A cache for uv in the checkout, where the user's own cannot be written to."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    wanted = os.environ.get("UV_CACHE_DIR") or os.path.join(base, "uv")
    if _is_writable(wanted):
        return {}
    return {"UV_CACHE_DIR": str(Path(__file__).resolve().parents[2] / ".sluice/cache/uv")}


def _is_writable(folder: str) -> bool:
    """Whether files can be made in the folder, which is made when it does not exist."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


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
