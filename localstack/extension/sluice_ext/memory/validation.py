"""LocalStack's check of calls to its own routes: off by default, and nothing can turn it on here.

Its module brings a library of 110 modules (OpenAPI), a twenty-fifth of the processor time of a start. Replaced: the
module, by one with the same two handlers, which do nothing, as LocalStack's do while they are off.
"""

import sys
from types import ModuleType
from typing import Any

MODULE = "localstack.aws.handlers.validation"


class Unchecked:
    """A handler of LocalStack's chain."""

    def __call__(self, chain: Any, context: Any, response: Any) -> None:
        """Pass everything on."""


def install() -> None:
    """Put it in place; LocalStack asks for another name when it is not the version we know, and does not start."""
    module = ModuleType(MODULE, __doc__)
    vars(module).update(OpenAPIRequestValidator=Unchecked, OpenAPIResponseValidator=Unchecked)
    sys.modules[MODULE] = module
