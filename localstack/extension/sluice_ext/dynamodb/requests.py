"""What requests have in common: limits of their parameters, and expressions with their placeholders.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html
"""

import re
from collections.abc import Mapping
from typing import Any

from sluice_ext.dynamodb import values
from sluice_ext.dynamodb.errors import DynamoError, invalid
from sluice_ext.dynamodb.expressions import conditions, paths, updates
from sluice_ext.dynamodb.expressions.nodes import Action, Condition, Parsed, Path

Body = dict[str, Any]

_CHOICES = {
    "ReturnConsumedCapacity": ("INDEXES", "TOTAL", "NONE"),
    "ReturnItemCollectionMetrics": ("SIZE", "NONE"),
    "ReturnValues": ("ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"),
    "ReturnValuesOnConditionCheckFailure": ("ALL_OLD", "NONE"),
    "Select": ("SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"),
    "ConditionalOperator": ("AND", "OR"),
    "BillingMode": ("PROVISIONED", "PAY_PER_REQUEST"),
    "TableClass": ("STANDARD", "STANDARD_INFREQUENT_ACCESS"),
}
_NAME = re.compile(r"[a-zA-Z0-9_.-]+")
_NAME_LENGTH, _ARN_LENGTH = 255, 1024
_SMALLEST = {"Limit": 1, "Segment": 0, "TotalSegments": 1}
_PLACEHOLDER = re.compile(r"[#:][A-Za-z0-9_]+", re.ASCII)


def constraint(value: Any, where: str, rule: str) -> str:
    """One violated constraint, as AWS words it."""
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{where}' failed to satisfy constraint: Member must {rule}"


def violated(faults: list[str]) -> DynamoError:
    """ValidationException with every violated constraint."""
    return invalid(f"{len(faults)} validation error{'s' * (len(faults) > 1)} detected: {'; '.join(faults)}")


def check(body: Body, *required: str) -> None:
    """Raises ValidationException when a parameter breaks its own limits."""
    faults = _name_faults(body) if "TableName" in required else []
    for name in required:
        if name != "TableName" and body.get(name) is None:
            faults.append(constraint(None, _camel(name), "not be null"))
    for name, choices in _CHOICES.items():
        value = body.get(name)
        if value is not None and value not in choices:
            faults.append(constraint(value, _camel(name), f"satisfy enum value set: [{', '.join(choices)}]"))
    for name, least in _SMALLEST.items():
        number = body.get(name)
        if number is not None and number < least:
            faults.append(constraint(number, _camel(name), f"have value greater than or equal to {least}"))
    if faults:
        raise violated(faults)


def _name_faults(body: Body) -> list[str]:
    name = body.get("TableName")
    if name is None:
        return [constraint(None, "tableName", "not be null")]
    if not name:
        return [constraint("", "tableName", "have length greater than or equal to 1")]
    limit = _ARN_LENGTH if name.startswith("arn:") else _NAME_LENGTH
    if len(name) > limit:
        return [constraint(name, "tableName", f"have length less than or equal to {limit}")]
    if limit == _NAME_LENGTH and not _NAME.fullmatch(name):
        return [constraint(name, "tableName", f"satisfy regular expression pattern: {_NAME.pattern}")]
    return []


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


class Expressions:
    """The expressions of one request, or of one item of a transaction, and the placeholders they use.

    ``parameters`` are the expressions that the request may have, ``legacy`` the older parameters that exclude them.
    """

    def __init__(self, body: Body, parameters: tuple[str, ...], legacy: tuple[str, ...] = ()) -> None:
        self._body = body
        given = [name for name in parameters if body.get(name) is not None]
        older = [name for name in legacy if body.get(name) is not None]
        if older and (given or body.get("ExpressionAttributeNames") or body.get("ExpressionAttributeValues")):
            found = given or [
                name for name in ("ExpressionAttributeNames", "ExpressionAttributeValues") if body.get(name)
            ]
            raise invalid(
                "Can not use both expression and non-expression parameters in the same request: "
                f"Non-expression parameters: {{{', '.join(older)}}} Expression parameters: {{{', '.join(found)}}}"
            )
        self._names = _names(body, given, parameters)
        # Legacy parameters add values of their own.
        self.values = _values(body, given, parameters)
        self._given_values = tuple(self.values)
        self._used_names: set[str] = set()
        self._used_values: set[str] = set()

    def condition(self, kind: str) -> Condition | None:
        """The condition in the parameter of this name."""
        text = self._body.get(kind)
        if text is None:
            return None
        parsed = conditions.parse(kind, text, self._names)
        self._use(kind, parsed)
        if parsed.typed:
            conditions.check_types(kind, parsed, self.values)
        return parsed.tree

    def update(self) -> tuple[Action, ...] | None:
        """The actions of UpdateExpression."""
        text = self._body.get("UpdateExpression")
        if text is None:
            return None
        parsed = updates.parse(text, self._names)
        self._use("UpdateExpression", parsed)
        if parsed.typed:
            updates.check_types(parsed, self.values)
        return parsed.tree

    def projection(self) -> tuple[Path, ...] | None:
        """The paths of ProjectionExpression."""
        text = self._body.get("ProjectionExpression")
        if text is None:
            return None
        parsed = paths.parse_projection(text, self._names)
        self._use("ProjectionExpression", parsed)
        return parsed.tree

    def finish(self) -> None:
        """Raises ValidationException when a placeholder is used by no expression."""
        for given, used, what in (
            (tuple(name for name, _ in self._names), self._used_names, "Names"),
            (self._given_values, self._used_values, "Values"),
        ):
            if len(given) > len(used):
                unused = ", ".join(name for name in given if name not in used)
                raise invalid(f"Value provided in ExpressionAttribute{what} unused in expressions: keys: {{{unused}}}")

    def _use(self, kind: str, parsed: Parsed[Any]) -> None:
        for name in parsed.values:
            if name not in self.values:
                raise invalid(
                    f"Invalid {kind}: An expression attribute value used in expression is not defined; "
                    f"attribute value: {name}"
                )
        self._used_names |= parsed.names
        self._used_values |= parsed.values


def _names(body: Body, given: list[str], parameters: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    names = body.get("ExpressionAttributeNames")
    if names is None:
        return ()
    _check_placeholders("ExpressionAttributeNames", names, given, parameters, "#")
    return tuple(names.items())


def _values(body: Body, given: list[str], parameters: tuple[str, ...]) -> dict[str, values.Value]:
    found = body.get("ExpressionAttributeValues")
    if found is None:
        return {}
    _check_placeholders("ExpressionAttributeValues", found, given, parameters, ":")
    result = {}
    for name, value in found.items():
        try:
            result[name] = values.normal(value)
        except DynamoError as error:
            if error.code != "ValidationException":
                raise
            message = f"ExpressionAttributeValues contains invalid value: {error.message} for key {name}"
            raise invalid(message) from None
    return result


def _check_placeholders(
    what: str, found: Mapping[str, Any], given: list[str], parameters: tuple[str, ...], sign: str
) -> None:
    if not given:
        allowed = [one for one in parameters if sign == "#" or one != "ProjectionExpression"]
        absent = f": {allowed[0]} is null" if len(allowed) == 1 else ""
        absent = absent or (f": {' and '.join(allowed)} are null" if allowed else "")
        raise invalid(f"{what} can only be specified when using expressions{absent}")
    if not found:
        raise invalid(f"{what} must not be empty")
    for name in found:
        if name[:1] != sign or not _PLACEHOLDER.fullmatch(name):
            raise invalid(f'{what} contains invalid key: Syntax error; key: "{name}"')
