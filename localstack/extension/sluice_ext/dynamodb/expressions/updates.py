"""Update expressions: parsing, and applying one to an item.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sluice_ext.dynamodb import numeric, values
from sluice_ext.dynamodb.errors import DynamoError, invalid
from sluice_ext.dynamodb.expressions.nodes import Action, Attribute, Call, Given, Operand, Parsed, Sum
from sluice_ext.dynamodb.expressions.paths import check_overlap, find
from sluice_ext.dynamodb.expressions.reader import Reader

_CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")
_ARGUMENTS = 2
_NO_SUCH_PATH = "The document path provided in the update expression is invalid for update"
_NO_SUCH_ATTRIBUTE = "The provided expression refers to an attribute that does not exist in the item"
_WRONG_TYPE = "An operand in the update expression has an incorrect data type"


@lru_cache(2048)
def parse(text: str, names: tuple[tuple[str, str], ...]) -> Parsed[tuple[Action, ...]]:
    """The actions of an UpdateExpression, in order. Raises DynamoError."""
    reader = _Updates("UpdateExpression", text, dict(names))
    actions = reader.clauses()
    reader.finish()
    check_overlap(reader, [action.path for action in actions])
    return Parsed(actions, frozenset(reader.used_names), frozenset(reader.used_values), tuple(reader.typed))


class _Updates(Reader):
    def clauses(self) -> tuple[Action, ...]:
        found: list[Action] = []
        seen: set[str] = set()
        while self.peek():
            clause = self.word()
            if clause not in _CLAUSES:
                raise self.syntax_error()
            self.take()
            if clause in seen:
                self.fault(f'The "{clause}" section can only be used once in an update expression;')
            seen.add(clause)
            found.append(self._action(clause))
            while self.accept(","):
                found.append(self._action(clause))
        return tuple(found)

    def _action(self, clause: str) -> Action:
        path = self.path()
        if clause == "REMOVE":
            return Action(clause, path)
        if clause == "SET":
            self.expect("=")
            return Action(clause, path, self._sum())
        if not self.at_value():
            raise self.syntax_error()
        value = self.value()
        self.typed.append((clause, (value,)))
        return Action(clause, path, value)

    def _sum(self) -> Operand:
        left = self._operand()
        if self.peek() not in ("+", "-"):
            return left
        operator = self.take()
        right = self._operand()
        self.typed.append((operator, (left, right)))
        return Sum(operator, left, right)

    def _operand(self) -> Operand:
        if self.accept("("):
            inner = self._sum()
            self.expect(")")
            return inner
        if self.peek(1) != "(" or not self.at_name():
            return self.leaf()
        function = self.take()
        self.expect("(")
        arguments = [self._operand()]
        while self.accept(","):
            arguments.append(self._operand())
        self.expect(")")
        self._check_call(function, arguments)
        return Call(function, tuple(arguments))

    def _check_call(self, function: str, arguments: list[Operand]) -> None:
        about = f"operator or function: {function}"
        if function not in ("if_not_exists", "list_append"):
            known = ("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size")
            self.fault(
                f"The function is not allowed in an update expression; function: {function}"
                if function in known
                else f"Invalid function name; function: {function}"
            )
        elif len(arguments) != _ARGUMENTS:
            self.fault(
                f"Incorrect number of operands for operator or function; {about}, number of operands: {len(arguments)}"
            )
        elif function == "if_not_exists" and not isinstance(arguments[0], Attribute):
            self.fault(f"Operator or function requires a document path; {about}")
        elif function == "list_append":
            self.typed.append((function, tuple(arguments)))


def check_types(parsed: Parsed[Any], given: Mapping[str, values.Value]) -> None:
    """Raises ValidationException when a value's type does not suit its action."""
    for operator, operands in parsed.typed:
        allowed = {
            "ADD": ("N", "SS", "NS", "BS"),
            "DELETE": ("SS", "NS", "BS"),
            "list_append": ("L",),
        }.get(operator, ("N",))
        for operand in operands:
            kind = next(iter(given[operand.name])) if isinstance(operand, Given) else allowed[0]
            if kind not in allowed:
                long = {"S": "STRING", "N": "NUMBER", "B": "BINARY", "BOOL": "BOOLEAN", "L": "LIST", "M": "MAP"}
                shown = long.get(kind, kind) if operator in ("ADD", "DELETE") else kind
                end = f", typeSet: ALLOWED_FOR_{operator}_OPERAND" if operator in ("ADD", "DELETE") else ""
                raise invalid(
                    "Invalid UpdateExpression: Incorrect operand type for operator or function; "
                    f"operator{'' if end else ' or function'}: {operator}, operand type: {shown}{end}"
                )


def apply(actions: tuple[Action, ...], item: values.Attributes, given: Mapping[str, values.Value]) -> values.Attributes:
    """The item after the actions. All operands are read from the item as it was. Raises DynamoError."""
    new = dict(item)
    changes = [(action, _new_value(action, item, given)) for action in actions]
    if any(len(action.path) > 1 for action in actions):
        changes.sort(key=_turn)
        for root in {str(action.path[0]) for action in actions if len(action.path) > 1} & set(new):
            new[root] = _copy(new[root])
    for action, value in changes:
        _put(new, action, value)
    return new


def _turn(change: tuple[Action, values.Value | None]) -> tuple[bool, list[int]]:
    """Elements of a list are removed after the other changes and from its end, and set from its beginning.

    So indexes hold, and elements beyond the end are appended in order.
    """
    removes = change[0].clause == "REMOVE"
    return removes, [(-part if removes else part) for part in change[0].path if isinstance(part, int)]


def _new_value(action: Action, item: values.Attributes, given: Mapping[str, values.Value]) -> values.Value | None:
    if action.operand is None:
        return None
    if action.clause == "SET":
        return _evaluate(action.operand, item, given)
    value = _evaluate(action.operand, item, given)
    current = find(item, action.path)
    ((kind, content),) = value.items()
    if current is None:
        return value if action.clause == "ADD" else None
    if kind not in current:
        raise invalid(_WRONG_TYPE)
    if kind == "N":
        return {"N": numeric.add(current["N"], content)}
    members = set(current[kind])
    members = members | set(content) if action.clause == "ADD" else members - set(content)
    return {kind: values.sorted_set(kind, members)} if members else None


def _evaluate(operand: Operand, item: values.Attributes, given: Mapping[str, values.Value]) -> values.Value:
    if isinstance(operand, Given):
        return given[operand.name]
    if isinstance(operand, Attribute):
        found = find(item, operand.path)
        if found is None:
            raise invalid(_NO_SUCH_ATTRIBUTE)
        return found
    if isinstance(operand, Sum):
        left, right = _evaluate(operand.left, item, given), _evaluate(operand.right, item, given)
        if "N" not in left or "N" not in right:
            raise invalid(_WRONG_TYPE)
        return {"N": (numeric.add if operand.operator == "+" else numeric.subtract)(left["N"], right["N"])}
    first, second = operand.arguments
    if operand.function == "if_not_exists":
        assert isinstance(first, Attribute)
        found = find(item, first.path)
        return _evaluate(second, item, given) if found is None else found
    head, tail = _evaluate(first, item, given), _evaluate(second, item, given)
    if "L" not in head or "L" not in tail:
        raise invalid(_WRONG_TYPE)
    return {"L": head["L"] + tail["L"]}


def _put(item: values.Attributes, action: Action, value: values.Value | None) -> None:
    *parents, last = action.path
    remove = value is None
    if not parents:
        if value is None:
            item.pop(str(last), None)
        else:
            item[str(last)] = value
        return
    holder = find(item, tuple(parents))
    if holder is None or ("L" if isinstance(last, int) else "M") not in holder:
        raise _no_such_path()
    if isinstance(last, str):
        if remove:
            holder["M"].pop(last, None)
        else:
            holder["M"][last] = value
        return
    content = holder["L"]
    if remove:
        del content[last : last + 1]
    elif last < len(content):
        content[last] = value
    else:
        content.append(value)


def _no_such_path() -> DynamoError:
    return invalid(_NO_SUCH_PATH)


def _copy(value: values.Value) -> values.Value:
    ((kind, content),) = value.items()
    if kind == "L":
        return {"L": [_copy(one) for one in content]}
    if kind == "M":
        return {"M": {name: _copy(one) for name, one in content.items()}}
    return value
