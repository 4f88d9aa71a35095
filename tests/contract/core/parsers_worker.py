"""Runs in the engine's interpreter: what answers a call of LocalStack to itself.

Prints as JSON whether two models of one service have one parser and one serializer, and whether those of another
service or protocol are others.
"""

import json

from localstack.aws.handlers import service
from localstack.aws.spec import load_service

from sluice_ext.gateway import shortcuts


def main() -> None:
    shortcuts.install()
    first, again = load_service("lambda"), load_service("lambda")
    queues = load_service("sqs")
    made = {
        "models": first is again,
        "parsers": service.create_parser(first) is service.create_parser(again),
        "serializers": service.create_serializer(first, None) is service.create_serializer(again, "rest-json"),
        "services": service.create_parser(first) is service.create_parser(load_service("events")),
        "protocols": service.create_parser(queues, "json") is service.create_parser(queues, "query"),
    }
    print(json.dumps(made))


main()
