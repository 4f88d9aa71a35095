"""Runs in the engine's interpreter: how services are loaded, and what answers a call of LocalStack to itself.

Prints as JSON whether two models of one service have one parser and one serializer, and whether those of another
service or protocol are others; then how often a service is tried whose imports met those of another one, and what
becomes of one whose load fails for another reason and is asked for again.
"""

import json
from _frozen_importlib import _DeadlockError
from types import SimpleNamespace
from typing import Any

from localstack.aws.handlers import service
from localstack.aws.spec import load_service
from localstack.services.plugins import ServicePluginManager

from sluice_ext import loading
from sluice_ext.gateway import shortcuts


def parsers() -> dict[str, bool]:
    shortcuts.install()
    first, again = load_service("lambda"), load_service("lambda")
    queues = load_service("sqs")
    return {
        "models": first is again,
        "parsers": service.create_parser(first) is service.create_parser(again),
        "serializers": service.create_serializer(first, None) is service.create_serializer(again, "rest-json"),
        "services": service.create_parser(first) is service.create_parser(load_service("events")),
        "protocols": service.create_parser(queues, "json") is service.create_parser(queues, "query"),
    }


def loads(*errors: Exception) -> list[str]:
    """What three calls for a service get whose plugin raises these errors, one a load, and then loads."""
    manager, coming, tries = ServicePluginManager(), list(errors), 0

    def load_plugin(container: Any) -> None:
        nonlocal tries
        tries += 1
        if coming:
            container.load_error = coming.pop(0)
            return
        container.is_loaded, container.plugin = True, SimpleNamespace(name="sqs")

    manager.plugin_manager._load_plugin = load_plugin
    found = []
    for _ in range(2):
        try:
            found.append(manager._load_service_plugin("sqs").name)
        except Exception as error:  # noqa: BLE001
            found.append(repr(error))
    return [*found, str(tries)]


def main() -> None:
    made = parsers()
    loading.install()
    made_of_loads = {
        "deadlock": loads(_DeadlockError("met"), _DeadlockError("met")),
        "other": loads(ValueError("once")),
    }
    print(json.dumps(made | made_of_loads))


main()
