"""A JSONPath that may have several matches gives a list, however many it has, as on AWS.

LocalStack gives the value itself for one match of ``$.results[*].outcome``, and fails on a filter without a match.
Replaced: `extract_json`, in every module that has imported it.
https://docs.aws.amazon.com/step-functions/latest/dg/amazon-states-language-paths.html
"""

import re
import sys
from typing import Any, Final

from jsonpath_ng.ext import parse
from localstack.services.stepfunctions.asl.utils import json_path

from sluice_ext.patching import replace

_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_SINGLE: Final = re.compile(r"'(?:[^'\\]|\\.)*'")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
# A wildcard, a descent, a filter, a slice, or several indexes.
_SEVERAL: Final = re.compile(r"\*|\.\.|\[\s*\?|\[[^\]]*[:,][^\]]*\]")


def may_have_several(path: str) -> bool:
    """Whether a path is about any number of values; what stands in quotes is a name."""
    return _SEVERAL.search(_QUOTED.sub("''", path)) is not None


def escaped(path: str) -> str:
    """The path for LocalStack's reader, which drops the backslash before any character of a name in single quotes.

    AWS drops it before a backslash and a quote of that kind only.
    """
    if "\\" not in path:
        return path
    return _SINGLE.sub(lambda name: _ESCAPE.sub(_double, name[0]), path)


def _double(escape: re.Match[str]) -> str:
    return escape[0] if escape[1] in "\\'" else f"\\{escape[0]}"


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def extract_json(path: str, data: Any) -> Any:
        path = escaped(path)
        if may_have_several(path):
            return [match.value for match in parse(path).find(data)]
        return original(path, data)

    original = replace(json_path, "extract_json", extract_json, expect="(path, data)")
    for name, module in list(sys.modules.items()):
        if name.startswith("localstack.services.stepfunctions.") and getattr(module, "extract_json", None) is original:
            replace(module, "extract_json", extract_json)
