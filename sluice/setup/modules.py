"""Installs the modules that a Glue job asks for into a folder, with the machine's own package settings.

`modules.py PYTHON FOLDER [installer options] -- requirement...`. Standard library only, as bootstrap.py.
"""

import sys
from pathlib import Path
from typing import Sequence

if __package__ in (None, ""):  # run as a file, isolated from the environment
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sluice.setup.machine import SetupError, find_python, find_uv, run, uv_environment


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 and the installer's words when a module cannot be had."""
    root = Path(__file__).resolve().parents[2]
    words = list(arguments)
    end = words.index("--")
    python, folder, options, wanted = words[0], words[1], words[2:end], words[end + 1 :]
    try:
        machine = find_python()
        uv = find_uv(root, machine, root / ".sluice/setup.log")
        install = [uv, "pip", "install", "-q", "--no-config", "--python", python, "--target", folder]
        run([*install, *options, "--", *wanted], uv_environment(machine))
    except SetupError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
