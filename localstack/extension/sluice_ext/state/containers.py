"""The stores of LocalStack's and moto's services, as the containers that each provider names."""

from typing import Any

from localstack.services.cloudwatch.models import cloudwatch_stores
from localstack.services.plugins import SERVICE_PLUGINS
from localstack.services.stores import AccountRegionBundle
from moto.backends import get_backend
from moto.core.base_backend import BackendDict

# Services of the stack: when one of them cannot be saved, nothing is.
_ESSENTIAL = "apigateway cloudwatch dynamodb ec2 events iam kms lambda logs rds s3 secretsmanager sns sqs stepfunctions"
ESSENTIAL = frozenset(_ESSENTIAL.split())
# The folders of these are saved in another way (S3's contents), or are not used (CloudWatch's).
_KNOWN_FILES = frozenset(("s3", "cloudwatch"))
# Their data are in the extension's own stores (`sluice_ext.state.own`), so a restored engine loads them when they are
# called first, and not before it is ready: their parsers of SQL are a tenth of the processor time of a start.
WITHOUT_CONTAINERS = frozenset(("athena", "glue", "redshift-data", "redshift-serverless", "scheduler"))
RESTORED: set[str] = set()
"""Those of them that a saved state had, whether they have been called since or not."""


class _Collector:
    """A StateVisitor that collects the stores and counts the folders that it is shown."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self.folders = 0

    def visit(self, state_container: Any) -> None:
        if isinstance(state_container, AccountRegionBundle | BackendDict):
            self.found.append(state_container)
        else:
            self.folders += 1


def of_service(name: str) -> list[Any]:
    """The containers of a service, in a fixed order; loads the service when it may have some and is not loaded."""
    if name in WITHOUT_CONTAINERS:
        return []
    service = SERVICE_PLUGINS.require(name)
    if name == "cloudwatch":
        return [cloudwatch_stores]  # its visitor wants a folder of LocalStack's own metric store
    collector = _Collector()
    service.accept_state_visitor(collector)
    return collector.found


def has_files(name: str) -> bool:
    """Whether a service has data outside of its stores (Kinesis, OpenSearch), which nothing here saves."""
    if name in _KNOWN_FILES | WITHOUT_CONTAINERS:
        return False
    collector = _Collector()
    SERVICE_PLUGINS.require(name).accept_state_visitor(collector)
    return collector.folders > 0


def used_backends() -> list[str]:
    """Names of moto's backends that are in use, also behind another service (RDS makes keys in moto's KMS)."""
    return sorted({backends.service_name for backends in list(BackendDict._instances)})


def roots(services: list[str], backends: list[str]) -> dict[str, Any]:
    """Every container of these services and backends by its name, ``<service>/<number>``."""
    found: dict[str, Any] = {}
    by_service = {service: of_service(service) for service in services}
    by_service |= {f"moto {name}": [get_backend(name)] for name in backends}
    for service, some in by_service.items():
        for number, container in enumerate(some):
            if not any(container is other for other in found.values()):
                found[f"{service}/{number}"] = container
    return found


def content(container: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is in a container: its items, and what LocalStack's stores share over all accounts."""
    return dict(container), dict(getattr(container, "_universal", {}))


def fill(container: Any, held: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Replace what is in a container."""
    items, shared = held
    container.clear()
    container.update(items)
    if isinstance(container, BackendDict) and not any(container is used for used in BackendDict._instances):
        BackendDict._instances.append(container)  # moto does when it makes a backend; `used_backends` reads it
    if isinstance(container, AccountRegionBundle):
        container._universal.clear()
        container._universal.update(shared)
        for bundle in container.values():
            # Every store refers to what all of them share.
            bundle._universal, bundle.lock = container._universal, container.lock
            for store in bundle.values():
                store._universal = container._universal
