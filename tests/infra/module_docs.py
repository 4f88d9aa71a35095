"""READMEs of the Terraform modules: the tables of inputs and outputs are made from the code.

``python -m tests.infra.module_docs`` rewrites them; a test fails where one is out of date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.infra.planning import INFRA

MODULES = sorted(path for folder in ("modules", "branches") for path in (INFRA / folder).iterdir() if path.is_dir())
BEGIN = "<!-- Made from the code by `python -m tests.infra.module_docs`. -->"
_LONG_TYPE = 60


@dataclass(frozen=True)
class Declared:
    """A variable or output; ``type`` and ``default`` as they are written, empty where there is none."""

    name: str
    description: str
    type: str = ""
    default: str = ""


def variables(module: Path) -> list[Declared]:
    """The variables of a module, in their order."""
    text = (module / "variables.tf").read_text()
    return [
        Declared(name, _description(body), _value(body, "type"), _value(body, "default"))
        for name, body in _blocks(text, "variable")
    ]


def outputs(module: Path) -> list[Declared]:
    """The outputs of a module, in their order."""
    return [Declared(name, _description(body)) for name, body in _blocks((module / "outputs.tf").read_text(), "output")]


def tables(module: Path) -> str:
    """Markdown tables of a module's inputs and outputs."""
    lines = [BEGIN, "", "## Inputs", "", "| name | description | type | default |", "|---|---|---|---|"]
    for one in variables(module):
        default = f"`{one.default}`" if one.default else "required"
        lines.append(f"| `{one.name}` | {_cell(one.description)} | {_type(one.type)} | {_cell(default)} |")
    lines += ["", "## Outputs", "", "| name | description |", "|---|---|"]
    lines += [f"| `{one.name}` | {_cell(one.description)} |" for one in outputs(module)]
    return "\n".join(lines) + "\n"


def readme(module: Path) -> str:
    """The README as it has to be: its own text and example, then the tables."""
    written = (module / "README.md").read_text().split(BEGIN)[0].rstrip()
    return f"{written}\n\n{tables(module)}"


def example(module: Path) -> str:
    """The Terraform code of the README's example; empty when it has none."""
    found = re.search(r"^```hcl\n(.*?)^```", (module / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def _blocks(text: str, kind: str) -> list[tuple[str, str]]:
    return re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}', text, re.MULTILINE | re.DOTALL)


def _description(body: str) -> str:
    heredoc = re.search(r"^  description +=\s*<<-EOT\n(.*?)^ *EOT$", body, re.MULTILINE | re.DOTALL)
    if heredoc:
        return " ".join(heredoc[1].split())
    found = re.search(r'^  description += "(.*)"$', body, re.MULTILINE)
    assert found, body
    return found[1].replace('\\"', '"')


def _value(body: str, name: str) -> str:
    """A top-level attribute's value on one line: up to the next attribute or block at the same depth."""
    found = re.search(rf"^  {name} += (.*?)(?=^  [a-z#]|\Z)", body, re.MULTILINE | re.DOTALL)
    if not found:
        return ""
    lines = [line.split(" # ")[0].strip() for line in found[1].strip().splitlines()]
    text = " ".join(", ".join(line for line in lines if line).split())
    return re.sub(r"([({\[]),", r"\1", re.sub(r",( [)}\]])", r"\1", text))


def _type(text: str) -> str:
    return f"`{text}`" if len(text) <= _LONG_TYPE else f"`{text.split('(')[0]}(...)`, see variables.tf"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;") if not text.startswith("`") else text


if __name__ == "__main__":
    for folder in MODULES:
        (folder / "README.md").write_text(readme(folder))
