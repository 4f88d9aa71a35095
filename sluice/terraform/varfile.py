"""Checks a tfvars file before Terraform sees it: a misspelt name is only a warning there, and then silently ignored."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sluice.console import fail

_VARIABLE = re.compile(r'^variable\s+"([^"]+)"', re.MULTILINE)
_ASSIGNMENT = re.compile(r"^([A-Za-z_][\w-]*)\s*=")


def declared(stack: Path) -> set[str]:
    """Names of the root module's variables."""
    return {name for path in stack.glob("*.tf") for name in _VARIABLE.findall(path.read_text(encoding="utf-8"))}


def assigned(text: str) -> dict[str, int]:
    """Names that a tfvars file sets at its top level, with their line."""
    names: dict[str, int] = {}
    depth, heredoc = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if heredoc:
            heredoc = "" if line.strip() == heredoc else heredoc
            continue
        code = re.sub(r'"(?:\\.|[^"\\])*"', '""', line).split("#")[0].split("//")[0]
        if depth == 0 and (match := _ASSIGNMENT.match(code.strip())):
            names[match[1]] = number
        if start := re.search(r"<<-?(\w+)\s*$", code):
            heredoc = start[1]
        depth += sum(code.count(c) for c in "{[(") - sum(code.count(c) for c in "}])")
    return names


def switches(stack: Path) -> set[str]:
    """Variables that turn a branch on; each is declared in its branch's file (branch_<name>.tf)."""
    names = {name for path in stack.glob("branch_*.tf") for name in _VARIABLE.findall(path.read_text(encoding="utf-8"))}
    return {name for name in names if name.endswith("_enabled")}


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """The text of a tfvars file that sets these variables, whatever it set them to (each of those on one line)."""
    gone = {line for name, line in assigned(text).items() if name in values}
    lines = [line for number, line in enumerate(text.splitlines(), 1) if number not in gone]
    lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def core_alone(text: str, stack: Path) -> str:
    """The text of a tfvars file with every branch off."""
    return with_values(text, dict.fromkeys(sorted(switches(stack)), False))


def taken_from_shell(shell: Mapping[str, str], path: Path, stack: Path, given: Collection[str]) -> list[str]:
    """The shell's variables TF_VAR_* that count, because neither the file nor the command gives theirs a value."""
    own = {"artifacts_dir", *assigned(path.read_text(encoding="utf-8")), *given}
    return sorted(name for one in declared(stack) - own if (name := f"TF_VAR_{one}") in shell)


def check(path: Path, stack: Path) -> None:
    """Raises SluiceError (code 2) when the file is missing or sets a variable that the stack does not have."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        fail(f"{path}: {reason}")
    known = declared(stack)
    for name, line in assigned(text).items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            fail(f"{path}:{line}: the stack has no variable {name!r}{hint}")
