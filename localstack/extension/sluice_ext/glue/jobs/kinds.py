"""The kinds of jobs that run here, as Command.Name names them."""

from typing import Final

SHELL: Final = "pythonshell"
SPARK: Final = "glueetl"
