"""Variables (`Assign`) in states that use JSONPath: ``$name.part[0]`` is a path in the variable.

LocalStack evaluates it as JSONata, in a Java machine that it downloads, and shows assigned strings without escapes.
Replaced: the evaluation of such a reference; the variables that the history shows; the assignment, for its limits.
https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
"""

import copy
import json
import re
from typing import Any, Final

from localstack.services.stepfunctions.asl.component.common.string.string_expression import StringVariableSample
from localstack.services.stepfunctions.asl.eval.environment import Environment
from localstack.services.stepfunctions.asl.eval.variable_store import NoSuchVariable, VariableStore
from localstack.services.stepfunctions.asl.utils import json_path

from sluice_ext.patching import replace

_REFERENCE: Final = re.compile(r"\$(\w+)(.*)", re.DOTALL)


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    replace(StringVariableSample, "_eval_body", _sample, expect="(self, env)")
    replace(VariableStore, "get_assigned_variables", _assigned, expect="(self)")


def _sample(self: Any, env: Environment) -> None:
    found = _REFERENCE.fullmatch(self.expression)
    if found is None:
        raise json_path.NoSuchJsonPathError(self.expression, {})
    name, rest = found.groups()
    try:
        value = env.variable_store.get(name)
    except NoSuchVariable:
        raise json_path.NoSuchJsonPathError(self.expression, {}) from None
    env.stack.append(copy.deepcopy(json_path.extract_json(f"${rest}", value) if rest else value))


def _assigned(self: Any) -> dict[str, str]:
    return {name: json.dumps(self.get(name), separators=(",", ":")) for name in self._declaration_tracing}
