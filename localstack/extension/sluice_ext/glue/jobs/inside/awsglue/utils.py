"""``getResolvedOptions``. https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-pyspark-extensions-get-resolved-options.html"""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn


class GlueArgumentError(Exception):
    """An argument that the script asks for is not given."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GlueArgumentError(message)


_BOOKMARK = "job-bookmark-option"
# Those that Glue itself reads; a script may not ask for them by these names.
_RESERVED = (_BOOKMARK, "job-bookmark-from", "job-bookmark-to")


def getResolvedOptions(args: Sequence[str], options: Sequence[str]) -> dict[str, Any]:  # noqa: N802 - AWS's name
    """The values of the named arguments: {"name": "value", ...}. Raises GlueArgumentError for one that is missing."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    for name in _RESERVED:
        if name in options:
            raise GlueArgumentError(f"Using reserved arguments {[name]}")
        parser.add_argument(f"--{name}", dest=name.replace("-", "_"))
    parser.add_argument("--TempDir", dest="TempDir")
    for name in options:
        if name != "TempDir":
            parser.add_argument(f"--{name}", dest=name, required=True)
    found, _ = parser.parse_known_args(_values(args[1:]))
    if "TempDir" in options and found.TempDir is None:
        raise GlueArgumentError("the following arguments are required: --TempDir")
    return {key: value for key, value in vars(found).items() if value is not None}


def _values(words: Sequence[str]) -> list[str]:
    """--name value as --name=value, so that a value may begin with a minus sign."""
    pairs = zip(words[::2], words[1::2], strict=False)
    if len(words) % 2 == 0 and all(name.startswith("--") and "=" not in name for name in words[::2]):
        return [f"{name}={value}" for name, value in pairs]
    return list(words)


class Unsupported(Exception):
    """Something that AWS's library has and this one has not."""
