"""Further modules of a run: --extra-py-files and --additional-python-modules.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-python-libraries.html
"""

import hashlib
import re
import shlex
import shutil
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sluice_ext import settings
from sluice_ext.glue.jobs.environments import NotRunnable, set_up_program

Download = Callable[[str, Path], Path]
_PINNED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+]+")


def listed(value: str | None) -> list[str]:
    """The items of a comma-separated argument."""
    return [item.strip() for item in (value or "").split(",") if item.strip()]


def extra_files(arguments: Mapping[str, str], folder: Path, download: Download) -> list[str]:
    """Download --extra-py-files. Returns what joins the path: archives, and the folder of single modules."""
    found = [str(folder)]
    for uri in listed(arguments.get("--extra-py-files")):
        suffix = Path(uri).suffix
        if suffix not in (".py", ".zip", ".egg", ".whl"):
            raise NotRunnable(f"--extra-py-files takes .py, .zip, .egg and .whl files, not {uri}")
        file = download(uri, folder)
        if suffix == ".whl":
            place = folder / f"{file.stem}.unpacked"
            try:
                with zipfile.ZipFile(file) as wheel:
                    wheel.extractall(place)
            except zipfile.BadZipFile:
                raise NotRunnable(f"{uri} is not a wheel") from None
            found.append(str(place))
        elif suffix != ".py":
            found.append(str(file))
    return found


def install(arguments: Mapping[str, str], python: Path, folder: Path, download: Download) -> list[str]:
    """Install --additional-python-modules. Returns what joins the path, in front.

    They come from the machine's index, from S3 (wheels), or from the wheel folder of SLUICE_GLUE_WHEELS, into a folder
    of the run. Those that are all named with a version are installed once, for later runs as well.
    """
    wanted = listed(arguments.get("--additional-python-modules"))
    if not wanted:
        return []
    if not settings.SETUP:
        raise NotRunnable("--additional-python-modules: this engine has no installer for modules")
    named = [str(download(one, folder)) if one.startswith("s3://") else one for one in wanted]
    options = shlex.split(arguments.get("--python-modules-installer-option") or "")
    links = ["--find-links", settings.GLUE_WHEELS] if settings.GLUE_WHEELS else []
    if not links and not options and all(map(_PINNED.fullmatch, named)):
        return [str(_shared(python, named))]
    target = folder / "installed"
    _install(python, target, [*links, *options], wanted, named)
    return [str(target)]


def _shared(python: Path, named: Sequence[str]) -> Path:
    """The folder of modules with versions, compiled: importing large ones takes a third of the time then."""
    key = hashlib.sha256("\n".join([str(python), *sorted(named)]).encode()).hexdigest()[:16]
    place = Path(settings.RUNTIMES_DIR) / "glue-modules" / key
    if not place.exists():
        new = place.with_name(f".{key}.{uuid.uuid4().hex}")
        try:
            _install(python, new, ["--compile-bytecode"], named, named)
            new.rename(place)
        except OSError:
            if not place.exists():  # or another run was quicker
                raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return place


def _install(python: Path, target: Path, options: Sequence[str], wanted: Sequence[str], named: Sequence[str]) -> None:
    done = set_up_program("modules.py", str(python), str(target), *options, "--", *named)
    if done.returncode != 0:
        raise NotRunnable(f"--additional-python-modules {','.join(wanted)}: {_last_words(done.stdout)}")


def _last_words(text: str) -> Any:
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return " ".join(lines[-4:])[-600:] or "no output"
