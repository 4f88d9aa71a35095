"""Texts of a definition are those that its JSON means: Terraform writes `<`, `>` and `&` as escapes of their numbers.

LocalStack leaves the escapes of names, keys and assigned texts as they are written, and reads others as Python's.
Replaced: the two functions that read a text.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html
"""

import json
from typing import Any

from localstack.services.stepfunctions.asl.parse import preprocessor

from sluice_ext.patching import replace


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def inner(parser_rule_context: Any) -> Any:
        text = parser_rule_context.getText()
        return meant(text) if text.startswith('"') else original(parser_rule_context)

    def of_context(parser_rule_context: Any) -> str:
        return meant(parser_rule_context.getText())

    expect = "(parser_rule_context)"
    original = replace(preprocessor.Preprocessor, "_inner_string_of", staticmethod(inner), expect=expect)
    replace(preprocessor, "from_string_literal", of_context, expect=expect)


def meant(text: str) -> str:
    """What a JSON string stands for; a text that is none (without quotes) is itself."""
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text
