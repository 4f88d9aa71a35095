"""What the programs that Sluice starts get of the user's shell, which may be prepared for other projects.

A server gets what this machine's programs need and nothing else. Terraform gets its user's variables, credentials and
logs, but none of the variables that make it work on another state, or with other options, than Sluice asks for.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# Of the machine: commands, home, language, time zone, temporary files, proxies, certificates, libraries.
_MACHINE = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
})  # fmt: skip
_MACHINE_PREFIXES = ("LC_", "XDG_", "NIX_")
# Of Terraform's own variables, those that say nothing about where and how it runs:
# https://developer.hashicorp.com/terraform/cli/config/environment-variables
_TERRAFORM = ("TF_VAR_", "TF_TOKEN_", "TF_LOG", "TF_REGISTRY_", "TF_PLUGIN_CACHE_", "TF_IGNORE", "TF_ENCRYPTION")
_PYTHON = ("PYTHON", "VIRTUAL_ENV", "CONDA_", "PYTEST_")
# Terraform talks to its providers through a socket below TMPDIR, and a socket's path has at most 107 bytes.
_TMPDIR_BYTES = 70


def of_machine() -> dict[str, str]:
    """The variables that a server of this machine needs: no settings of other LocalStacks, databases or projects."""
    found = {
        name: value for name, value in os.environ.items() if name in _MACHINE or name.startswith(_MACHINE_PREFIXES)
    }
    if "TMPDIR" in found:
        found["TMPDIR"] = tempfile.gettempdir()
    return found


def for_terraform() -> dict[str, str]:
    """This process's environment without Terraform's settings of another project, nor those of Python's."""
    found = {name: value for name, value in os.environ.items() if not is_foreign_to_terraform(name)}
    folder = tempfile.gettempdir()  # of $TMPDIR and the usual places the first that can be written to
    found["TMPDIR"] = folder if len(os.fsencode(folder)) <= _TMPDIR_BYTES else "/tmp"
    return found


def is_foreign_to_terraform(name: str) -> bool:
    """Whether a variable would move Terraform to another state, give it other options, or mislead tflocal's Python."""
    return name.startswith(_PYTHON) or (name.startswith("TF_") and not name.startswith(_TERRAFORM))


def without(environment: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    """The variables whose names begin with none of the prefixes."""
    return {name: value for name, value in environment.items() if not name.startswith(prefixes)}


@contextmanager
def without_libpq() -> Iterator[None]:
    """No variable of PostgreSQL's library (PGHOSTADDR, PGSSLMODE, PGSERVICE, ...) counts while the block runs: the
    library takes them for what a connection does not name. https://www.postgresql.org/docs/current/libpq-envars.html
    """
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PG")}
    try:
        yield
    finally:
        os.environ.update(hidden)


def user_home() -> Path:
    """The user's home, or a folder that does not exist when the machine knows of none."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.devnull) / "home"


def make_printable() -> None:
    """Output is UTF-8 whatever the shell's locale is, because scripts read keys, paths and rows in it; half a character
    (a lone surrogate, from JSON or from a file's name) is printed as an escape and is no error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
