"""Runs in the engine's interpreter: calls to every service that LocalStack can load, and what they would fetch.

Prints as JSON: `answers`, one for each of LocalStack's services that the extension leaves as it is (`done`, or an
error's code and words) and for some that LocalStack lacks; `outside`, what was asked of the network or started as a
program meanwhile; `packages`, what each installer says.
"""

import json
import re
import sys
from types import SimpleNamespace
from typing import Any

REACHES_OUT = {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"}
LACKING = ("bedrock", "cognito-idp", "ecs", "pipes", "sagemaker")
outside: list[str] = []


def watch(event: str, arguments: Any) -> None:
    if event in REACHES_OUT:
        what = arguments[1] if event == "socket.connect" else arguments[0]
        host = what[0] if isinstance(what, tuple) else what
        if host not in (None, "127.0.0.1", "::1", "localhost"):
            outside.append(f"{event} {host}")


def harmless(client: Any) -> tuple[str, dict[str, str]]:
    """An operation that reads and wants nothing, or texts only, with its arguments."""
    found = []
    for method, operation in sorted(client.meta.method_to_api_mapping.items()):
        shape = client.meta.service_model.operation_model(operation).input_shape
        needs = shape.required_members if shape else []
        texts = all(shape.members[one].type_name == "string" for one in needs)
        if method.startswith(("list_", "describe_", "get_")) and texts:
            found.append((len(needs), method, dict.fromkeys(needs, "0" * 12)))
    return min(found, key=lambda one: one[:2])[1:]


def _one_host(params: Any, context: Any, **_: Any) -> None:
    """No account in front of the engine's name, which would be another host."""
    params["url"] = re.sub(r"//[0-9]+\.", "//", params["url"])


def answer(name: str) -> str:
    from botocore.exceptions import ClientError
    from localstack.aws.connect import connect_to

    client = connect_to(region_name="us-east-1").get_client(name)
    client.meta.events.register("before-call", _one_host)
    method, arguments = harmless(client)
    try:
        getattr(client, method)(**arguments)
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return "done"


def package(installer: Any) -> str:
    try:
        installer.install()
    except NotImplementedError as error:
        return str(error)
    return "installed"


def main() -> None:
    from sluice_ext import settings

    settings.apply_engine_defaults()
    from localstack.aws.app import LocalstackAwsGateway
    from localstack.aws.client import botocore_in_memory_endpoint_patch
    from localstack.packages.api import PackagesPluginManager
    from localstack.runtime.current import set_current_runtime
    from localstack.services.plugins import SERVICE_PLUGINS

    from sluice_ext import offline

    offline.install()
    gateway = LocalstackAwsGateway(SERVICE_PLUGINS)
    set_current_runtime(SimpleNamespace(components=SimpleNamespace(gateway=gateway)))  # LocalStack's own clients ask it
    botocore_in_memory_endpoint_patch.apply()
    sys.addaudithook(watch)
    available = SERVICE_PLUGINS.list_available()
    theirs = [name for name in available if SERVICE_PLUGINS.get_active_provider(name) != "sluice"]
    names = [*theirs, *LACKING]
    found: dict[str, Any] = {"answers": {name: answer(name) for name in names}}
    packages = [each for _, _, each in PackagesPluginManager().get_all_packages()]
    installers = [each.get_installer(version) for each in packages for version in each.get_versions()]
    found |= {"packages": [package(one) for one in installers], "outside": outside}
    print(json.dumps(found))


main()
