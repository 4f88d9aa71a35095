"""The functions: every package below lambdas/ that has a handler.py is one. Nothing lists them.

A function's zip holds its package, the shared package, and those modules of other packages that it imports.
"""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sluice.build import archive
from sluice.console import fail
from sluice.paths import LAMBDAS_DIR, SHARED_DIR

SHARED_PACKAGE = "sluice_pipeline"
SETTINGS = "function.toml"
"""In a function's package: ``layers``, the layers that Terraform gives it, in their order."""


@dataclass(frozen=True)
class Function:
    """A function's code. ``package`` is dotted (``core.ingest``)."""

    package: str
    layers: tuple[str, ...]

    @property
    def artifact(self) -> str:
        """Name of its zip: ``core-ingest``."""
        return self.package.replace(".", "-")

    @property
    def handler(self) -> str:
        """Lambda's entry point: ``core.ingest.handler.handler``."""
        return f"{self.package}.handler.handler"

    @property
    def path(self) -> str:
        """Its folder below lambdas/."""
        return self.package.replace(".", "/")


def find_functions(lambdas: Path = LAMBDAS_DIR) -> list[Function]:
    """All functions, by package. Raises SluiceError when one has no handler or its settings cannot be read."""
    found = []
    for settings in sorted(lambdas.rglob(SETTINGS)):
        folder = settings.parent
        package = ".".join(folder.relative_to(lambdas).parts)
        if not (folder / "handler.py").exists():
            fail(f"lambdas/{folder.relative_to(lambdas).as_posix()}/handler.py is missing", 1)
        try:
            layers = tuple(map(str, tomllib.loads(settings.read_text())["layers"]))
        except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            fail(f"lambdas/{settings.relative_to(lambdas).as_posix()} has no list `layers`: {error}")
        found.append(Function(package, layers))
    return found


class Sources:
    """The code below lambdas/ as it is now. It is listed once, and each module's imports are found once, for all
    functions: every one of them holds the shared package."""

    def __init__(self, lambdas: Path = LAMBDAS_DIR) -> None:
        self._lambdas = lambdas
        self._known = archive.tree(lambdas, suffixes=[".py"])
        self._shared = archive.tree(lambdas / SHARED_DIR.name / SHARED_PACKAGE, f"{SHARED_PACKAGE}/")
        self._modules = _Modules({**self._known, **self._shared})
        self._imported: dict[Path, tuple[str, ...]] = {}
        self.functions = find_functions(lambdas)

    def code_of(self, function: Function) -> dict[str, Path]:
        """What a function's zip holds: names in the zip, and files. Raises SluiceError (code 1) when a module imports
        one of lambdas/ that is not there."""
        own = archive.tree(self._lambdas / function.path, f"{function.path}/")
        own.pop(f"{function.path}/{SETTINGS}", None)
        # A branch of one function has both in one folder; another function's package below it is not this one's.
        others = tuple(f"{one.path}/" for one in self.functions if one.path.startswith(f"{function.path}/"))
        members = {name: path for name, path in own.items() if not name.startswith(others)} | self._shared
        return self._with_imports(members, [path for path in members.values() if path.suffix == ".py"])

    def library_of(self, script: Path, name: str) -> dict[str, Path]:
        """The shared package, and what a script outside of lambdas/ and its imports import. ``name``: for errors.

        Raises SluiceError (code 1) as code_of.
        """
        imports = _imports(script.read_text(), str(script))
        if missing := self._modules.missing(imports):
            fail(f"{name} imports {missing}, which is not there", 1)
        members = dict(self._shared)
        first = {file: self._lambdas / file for file in _files(imports, self._known) if file not in members}
        members |= first
        return self._with_imports(members, [path for path in members.values() if path.suffix == ".py"])

    def _with_imports(self, members: dict[str, Path], pending: list[Path]) -> dict[str, Path]:
        while pending:
            for name in self._imported_by(pending.pop()):
                if name not in members:
                    members[name] = self._lambdas / name
                    pending.append(members[name])
        return members

    def _imported_by(self, source: Path) -> tuple[str, ...]:
        """Those files of lambdas/ that a module imports at its top or in a function, with packages' ``__init__``."""
        if source not in self._imported:
            imports = _imports(source.read_text(), str(source))
            if missing := self._modules.missing(imports):
                fail(f"lambdas/{source.relative_to(self._lambdas).as_posix()} imports {missing}, which is not there", 1)
            self._imported[source] = tuple(_files(imports, self._known))
        return self._imported[source]


type _Import = tuple[str, str]
"""A module, and what is imported from it; of ``import module`` that is empty."""


def _files(imports: Iterable[_Import], known: Mapping[str, Path]) -> Iterator[str]:
    """Those of the `known` files of lambdas/ that a module imports at its top or in a function, packages'
    ``__init__`` included."""
    for module, name in imports:
        parts = [*module.split("."), *filter(None, [name])]
        places = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        for place in places:
            yield from (file for file in (f"{place}/__init__.py", f"{place}.py") if file in known)


@functools.lru_cache(2048)
def _imports(text: str, file: str) -> tuple[_Import, ...]:
    """What a source imports. Every function holds the shared package: each of its modules is parsed once for all."""
    found: list[_Import] = []
    for node in ast.walk(ast.parse(text, file)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [(node.module, alias.name) for alias in node.names]
    return tuple(dict.fromkeys(found))


class _Modules:
    """The modules of lambdas/, by the names that they have in a zip."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._folders = {parent.as_posix() for name in files for parent in PurePosixPath(name).parents}
        self._packages = {name.partition("/")[0] for name in files if "/" in name}

    def missing(self, imports: Iterable[_Import]) -> str:
        """The first import of one of these packages that is not there: its module was deleted or renamed. Empty when
        all are. Other packages are the layers' and Python's own."""
        for module, name in imports:
            if module.partition(".")[0] in self._packages and not self._has(module.replace(".", "/"), name):
                return f"{module}.{name}" if name else module
        return ""

    def _has(self, place: str, name: str) -> bool:
        if f"{place}.py" in self._files:
            return True
        if name in ("", "*") or place not in self._folders:
            return place in self._folders
        if f"{place}/{name}.py" in self._files or f"{place}/{name}" in self._folders:
            return True
        own = self._files.get(f"{place}/__init__.py")  # a name that the package itself has
        return own is not None and re.search(rf"\b{name}\b", own.read_text()) is not None
