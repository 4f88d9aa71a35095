"""The arguments and attributes of the AWS provider's version 6, of the resources and data sources that infra/ uses.

Terraform's own registry has the schema; npm has it, too, as the bindings that HashiCorp generates from it:
https://www.npmjs.com/package/@cdktf/provider-aws. Names are all that is stored, in `next_major.json`:

    .sluice/host/bin/python -m tests.infra.next_major        # needs npm; reads the package again
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.infra.planning import ENVS, offline_plan

PACKAGE, PROVIDER = "@cdktf/provider-aws@21.22.1", "6.25.0"
FILE = Path(__file__).with_name("next_major.json")

_LATER = object()
_INTERFACE = re.compile(r"^export interface (\w+)(?: extends [^{]+)? \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_CLASS = re.compile(r"^export declare class (\w+) extends [^{]+\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_ARGUMENT = re.compile(r"#(\w+) \w+#\1\}(?:(?!readonly)[\s\S])*?readonly \w+(\??): ([^;]+);")
_GETTER = re.compile(r"^\s+get (\w+)\(\)", re.MULTILINE)


def used(document: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(mode, type) of a plan's resources and data sources of AWS."""
    return {
        (one["mode"], one["type"])
        for module in _modules(document["configuration"]["root_module"])
        for one in module.get("resources", ())
        if one["type"].startswith("aws_")
    }


def problems(document: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    """What of a plan the next major does not have, and what it demands and does not get."""
    for module in _modules(document["configuration"]["root_module"]):
        for one in module.get("resources", ()):
            if one["type"].startswith("aws_"):
                schema = known[one["mode"]][one["type"]]
                given = one.get("expressions", {})
                yield from _unknown(one["address"], given, schema, schema[""])
        for reference in set(_references(module)):
            yield from _unreadable(reference, known)
    for one in document["resource_changes"]:
        if one["type"].startswith("aws_") and one["change"]["after"]:
            schema = known[one["mode"]][one["type"]]
            planned = _merged(one["change"]["after"], one["change"]["after_unknown"])
            yield from _unmet(one["address"], planned, schema, schema[""])


def _modules(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield module
    for call in module.get("module_calls", {}).values():
        yield from _modules(call["module"])


def _unknown(
    where: str, given: Mapping[str, Any], schema: Mapping[str, Any], block: Mapping[str, Any]
) -> Iterator[str]:
    """Arguments as they are written. A dynamic block is not among them: it is in what is planned."""
    for name, value in given.items():
        if name not in block["arguments"]:
            yield f"{where}: no argument {name}"
        elif isinstance(value, list):
            for inner in value:
                yield from _unknown(f"{where}.{name}", inner, schema, schema[block["arguments"][name]["block"]])


def _unmet(where: str, after: Mapping[str, Any], schema: Mapping[str, Any], block: Mapping[str, Any]) -> Iterator[str]:
    """Arguments and attributes as they are planned."""
    for name, argument in block["arguments"].items():
        if argument["required"] and after.get(name) in (None, [], {}):
            yield f"{where}: {name} is required"
    for name, value in after.items():
        if value in (None, [], {}, False, ""):
            continue
        if name not in block["arguments"]:
            # What is known later was not given, or is among the expressions.
            if value is not _LATER and not _is_attribute(name, block):
                yield f"{where}: no argument or attribute {name}"
            continue
        inner = schema.get(block["arguments"][name]["block"] or "-")
        for part in value if isinstance(value, list) else [value]:
            if inner and isinstance(part, dict):
                yield from _unmet(f"{where}.{name}", part, schema, inner)


def _merged(after: Any, unknown: Any) -> Any:
    """What is planned, with _LATER for what is known after the apply."""
    if isinstance(after, dict):
        more = unknown if isinstance(unknown, dict) else {}
        return {name: _merged(after.get(name), more.get(name)) for name in after.keys() | more.keys()}
    if isinstance(after, list):
        more_items = unknown if isinstance(unknown, list) else []
        return [_merged(one, more_items[at] if at < len(more_items) else None) for at, one in enumerate(after)]
    return _LATER if after is None and unknown else after


def _references(module: Mapping[str, Any]) -> Iterator[str]:
    """What a module's own resources, outputs and calls read; what it calls is a module of its own."""
    calls = [call.get("expressions", {}) for call in module.get("module_calls", {}).values()]
    waiting: list[Any] = [module.get("resources", []), module.get("outputs", {}), calls]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            yield from value.get("references", ())
            waiting += [inner for name, inner in value.items() if name != "references"]


def _unreadable(reference: str, known: Mapping[str, Any]) -> Iterator[str]:
    """``aws_sqs_queue.dead.arn``, ``data.aws_region.here.region``: attributes that are read."""
    mode, parts = "managed", re.sub(r"\[[^\]]*\]", "", reference).split(".")
    if parts[0] == "data":
        mode, parts = "data", parts[1:]
    if not parts[0].startswith("aws_") or len(parts) < 3:
        return
    block = known[mode][parts[0]][""]
    if parts[2] not in block["arguments"] and not _is_attribute(parts[2], block):
        yield f"{reference}: no attribute {parts[2]}"


def _is_attribute(name: str, block: Mapping[str, Any]) -> bool:
    return name.replace("_", "") in block["attributes"]


def read(package: Path, kinds: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Of each kind its blocks by the names of their interfaces, the resource itself under ''."""
    found: dict[str, Any] = {"package": PACKAGE, "provider": PROVIDER, "managed": {}, "data": {}}
    for mode, name in sorted(kinds):
        folder = ("data-" if mode == "data" else "") + name.removeprefix("" if mode == "data" else "aws_")
        sources = sorted((package / "lib" / folder.replace("_", "-")).rglob("*.d.ts"))
        found[mode][name] = _schema("\n".join(path.read_text() for path in sources))
    return found


def _schema(text: str) -> dict[str, Any]:
    interfaces = dict(_INTERFACE.findall(text))
    classes = dict(_CLASS.findall(text))
    [(root, resource)] = [  # ConfigA where a class is named Config, too
        (name, match[1])
        for name in interfaces
        if (match := re.fullmatch(r"(\w+?)ConfigA?", name)) and match[1] in classes
    ]
    blocks: dict[str, Any] = {}
    for name, body in interfaces.items():
        owner = classes.get(resource if name == root else f"{name}OutputReference", "")
        arguments = {
            argument: {
                "required": not optional,
                "block": next((i for i in interfaces if re.search(rf"\b{i}\b", kind)), ""),
            }
            for argument, optional, kind in _ARGUMENT.findall(body)
        }
        # Names of attributes are there as TypeScript writes them, and that loses underscores before and after digits.
        attributes = {getter.lower() for getter in _GETTER.findall(owner) if not getter.endswith("Input")}
        blocks["" if name == root else name] = {"arguments": arguments, "attributes": sorted(attributes)}
    return blocks


def main() -> None:
    """Read the package of npm and write the file again."""
    kinds = set().union(*(used(offline_plan(ENVS / f"{env}.tfvars").document) for env in ("dev", "prod")))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True)
        [archive] = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        FILE.write_text(json.dumps(read(Path(folder) / "package", kinds), separators=(",", ":"), sort_keys=True) + "\n")
    sys.stdout.write(f"{FILE}: {len(kinds)} kinds\n")


if __name__ == "__main__":
    main()
