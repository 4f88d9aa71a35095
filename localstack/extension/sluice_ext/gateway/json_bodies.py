"""JSON requests are read by functions that are made once for each shape of a service's model.

LocalStack walks through the model with each request: for a transaction of three items of DynamoDB that is two thirds of
its time. What is read is the same, to the order of the members; whatever these functions do not expect is left to
LocalStack, and so are its errors.

Replaced: `JSONRequestParser._handle_json_body`.
"""

import base64
from collections.abc import Callable
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from localstack.aws.protocol.parser import JSONRequestParser

from sluice_ext.patching import replace

Otherwise = Callable[[Shape, Any], Any]
"""How LocalStack reads a value of a shape."""
Reader = Callable[[Any, Otherwise], Any]
"""Reads a value that is not None. Any exception means: LocalStack is to read the whole request."""
_CBOR, _JSON = "application/x-amz-cbor", ("application/x-amz-json", "application/json")
_AS_IT_IS = ("string", "character", "boolean")


class Unexpected(Exception):
    """The value is not of the JSON type that its shape has."""


def install() -> None:
    """Replace it; raises UnexpectedEngine when LocalStack is not the version we know."""

    def body_of(self: Any, request: Any, shape: Shape, uri_params: Any = None) -> Any:
        if type(self) is not JSONRequestParser or request.mimetype.startswith(_CBOR):
            return original(self, request, shape, uri_params)
        readers = self.__dict__.setdefault("sluice_readers", Readers())
        try:
            return readers.of(shape)(
                _body(self, request),
                lambda inner, value: self._parse_shape(request, inner, value, uri_params),
            )
        except Exception:  # noqa: BLE001  (LocalStack's own error says what is wrong)
            return original(self, request, shape, uri_params)

    expect = "(self, request, shape, uri_params)"
    original = replace(JSONRequestParser, "_handle_json_body", body_of, expect=expect)


def _body(parser: Any, request: Any) -> Any:
    # What LocalStack reads the body with looks for a form in it first.
    if not request.mimetype.startswith(_JSON):
        return parser._parse_body_as_json(request)
    return request.get_json(force=True) if request.get_data() else {}


class Readers:
    """The readers of one service's shapes. A shape may contain itself, so those of members are made when needed."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Reader] = {}

    def of(self, shape: Shape) -> Reader:
        """A shape's reader; one that is referred to with traits of its own has a reader of its own."""
        key = shape.name, repr(shape.serialization)
        found = self._made.get(key)
        if found is None:
            found = self._made.setdefault(key, self._make(shape))
        return found

    def _make(self, shape: Shape) -> Reader:
        if "location" in shape.serialization:
            return lambda value, otherwise: otherwise(shape, value)
        if isinstance(shape, StructureShape):
            return _as_it_is if shape.is_document_type else self._structure(shape)
        if isinstance(shape, ListShape):
            return self._list(shape)
        if isinstance(shape, MapShape):
            return self._map(shape)
        if shape.type_name in _AS_IT_IS:
            return _as_it_is
        if shape.type_name == "blob":
            return _blob
        return lambda value, otherwise: otherwise(shape, value)

    def _structure(self, shape: StructureShape) -> Reader:
        listed: list[tuple[str, str, Reader, bool]] = []
        by_name: dict[str, tuple[str, Reader]] = {}

        def read(value: Any, otherwise: Otherwise) -> Any:
            if type(value) is not dict:
                raise Unexpected
            if not listed:
                made = [
                    (name, member.serialization.get("name", name), self.of(member), name in shape.required_members)
                    for name, member in shape.members.items()
                    if "location" not in member.serialization
                ]
                if len(made) < len(shape.members):
                    return otherwise(shape, value)
                by_name.update(() if shape.required_members else ((sent, (name, one)) for name, sent, one, _ in made))
                listed[:] = made
            if len(value) == 1 and by_name:  # a value of DynamoDB: one of ten members
                ((sent, inner),) = value.items()
                if inner is None or sent not in by_name:
                    return {}
                name, one = by_name[sent]
                return {name: one(inner, otherwise)}
            found = {}
            for name, sent, one, required in listed:
                inner = value.get(sent)
                if inner is not None:
                    found[name] = one(inner, otherwise)
                elif required:
                    found[name] = None
            return found

        return read

    def _list(self, shape: ListShape) -> Reader:
        one: Reader | None = None

        def read(value: Any, otherwise: Otherwise) -> Any:
            nonlocal one
            if type(value) is not list:
                raise Unexpected
            one = one or self.of(shape.member)
            return [None if inner is None else one(inner, otherwise) for inner in value]

        return read

    def _map(self, shape: MapShape) -> Reader:
        one: Reader | None = None

        def read(value: Any, otherwise: Otherwise) -> Any:
            nonlocal one
            if type(value) is not dict or shape.key.type_name != "string":
                raise Unexpected
            one = one or self.of(shape.value)
            return {name: None if inner is None else one(inner, otherwise) for name, inner in value.items()}

        return read


def _as_it_is(value: Any, _otherwise: Otherwise) -> Any:
    return value


def _blob(value: Any, _otherwise: Otherwise) -> bytes:
    return base64.b64decode(value)
