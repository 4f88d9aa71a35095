"""Runs in the engine's interpreter: what LocalStack and the extension read of the same JSON requests.

Prints as JSON how many requests were read, how many of them were wrong, and the requests that were read in two ways.
They are made at random from the models of services, with members that are missing, null, of another type, or unknown.
"""

import json
import random
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from localstack.aws.protocol import parser
from localstack.aws.spec import load_service
from localstack.http import Request

from sluice_ext.gateway import json_bodies

SERVICES = ("dynamodb", "sqs", "events", "logs", "kms", "stepfunctions", "secretsmanager", "glue")
OF_EACH, DEPTH = 250, 6
ODD: tuple[Any, ...] = (None, "", "text", "aGk=", 0, 7, 1.5, True, [], {}, [None], {"S": None}, {"a": {"b": 1}})
PLAIN: dict[str, tuple[Any, ...]] = {
    "string": ("", "text", "5"), "character": ("c",), "boolean": (True, False), "integer": (0, 7, "7"), "long": (7,),
    "float": (1.5, 2), "double": (1.5,), "blob": ("aGk=", "a"), "timestamp": (1_700_000_000, 1.5, "x"),
}  # fmt: skip


def value(chance: random.Random, shape: Shape, depth: int = 0) -> Any:
    """A JSON value of a shape, or in one of twenty cases another one."""
    if chance.random() < 0.05 or depth > DEPTH:
        return chance.choice(ODD)
    if isinstance(shape, StructureShape):
        one = shape.name == "AttributeValue" and chance.random() < 0.8
        names = [name for name in shape.members if one or chance.random() < 0.6]
        names = [chance.choice(names)] if one else names
        chance.shuffle(names)
        sent = {shape.members[name].serialization.get("name", name): shape.members[name] for name in names}
        found = {name: value(chance, member, depth + 1) for name, member in sent.items()}
        return found | ({"Unknown": {"S": "x"}} if chance.random() < 0.05 else {})
    if isinstance(shape, ListShape):
        return [value(chance, shape.member, depth + 1) for _ in range(chance.randrange(3))]
    if isinstance(shape, MapShape):
        return {f"k{number}": value(chance, shape.value, depth + 1) for number in range(chance.randrange(3))}
    return chance.choice(PLAIN[shape.type_name])


def read(service: Any, operation: str, body: bytes) -> str:
    """The request as it is read, or the error, as text; the order of members counts."""
    headers = {"X-Amz-Target": f"x.{operation}", "Content-Type": "application/x-amz-json-1.0"}
    try:
        return repr(parser.create_parser(service, "json").parse(Request("POST", "/", body=body, headers=headers))[1])
    except parser.RequestParserError as error:
        return f"{type(error).__name__}: {error}"


def main() -> None:
    chance = random.Random(20261127)
    requests = []
    for name in SERVICES:
        service = load_service(name, protocol="json") if name == "sqs" else load_service(name)
        shapes = {one: service.operation_model(one).input_shape for one in service.operation_names}
        taken = [one for one, shape in shapes.items() if shape is not None]
        for _ in range(OF_EACH):
            operation = chance.choice(taken)
            requests.append((service, operation, json.dumps(value(chance, shapes[operation])).encode()))
    before = [read(*request) for request in requests]
    json_bodies.install()
    after = [read(*request) for request in requests]
    differ = [
        [operation, body.decode(), old, new]
        for (_, operation, body), old, new in zip(requests, before, after, strict=True)
        if old != new
    ]
    wrong = sum(text.startswith(("ProtocolParserError", "UnknownParserError")) for text in before)
    print(json.dumps({"read": len(requests), "wrong": wrong, "differ": differ[:3]}))


main()
