"""Nothing is downloaded or installed while the engine runs: what would need it is refused in one line.

Replaced:
- `PackageInstaller.install`, and that of several packages at once, downloads software on first use (npm, Java). Every
  caller gets `NotImplementedError`, which a client sees as InternalFailure with the status 501.
- `ServicePluginManager._load_service_plugin` refuses a service whose provider needs such a package: some of them would
  install it in a thread, after an answer of success.
- `RemoteCatalogLoader.get_remote_catalog` asks LocalStack's site what newer versions have, for each operation that is
  not there. `get_service_availability_exception` speaks of licences; here it names what is missing.
"""

import functools
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Final, NoReturn

from localstack.aws import skeleton
from localstack.aws.catalog_exceptions import AwsServiceAvailabilityException
from localstack.aws.handlers import service
from localstack.packages.api import PLUGIN_NAMESPACE, MultiPackageInstaller, PackageInstaller
from localstack.services.plugins import SERVICE_PLUGINS, ServicePluginManager
from localstack.utils.catalog.catalog_loader import AwsCatalogLoaderException, RemoteCatalogLoader

from sluice_ext.patching import replace

_SERVICES = "localstack.services."
_NOT_SUPPORTED = 8  # LocalStack's own number for it
_PARTS_OF_STREAMS: Final = {
    "KinesisStreamSourceConfiguration": "kinesis",
    "ElasticsearchDestinationConfiguration": "es",
    "AmazonopensearchserviceDestinationConfiguration": "opensearch",
}


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def load(self: Any, name: str) -> Any:
        if is_missing(name):
            raise _missing(name)
        plugin = original(self, name)
        if name == "firehose":
            table = plugin.service.skeleton.dispatch_table
            table["CreateDeliveryStream"] = _stream_between_services_here(table["CreateDeliveryStream"])
        return plugin

    for installer in (PackageInstaller, MultiPackageInstaller):
        replace(installer, "install", _refuse, expect="(self, target)")
    replace(RemoteCatalogLoader, "get_remote_catalog", _no_catalog, expect="(self)")
    for place in (service, skeleton):
        expect = "(service_name, operation_name, status)"
        replace(place, "get_service_availability_exception", _not_here, expect=expect)
    original = replace(ServicePluginManager, "_load_service_plugin", load, expect="(self, name)")


def is_missing(name: str) -> bool:
    """Whether a service is LocalStack's own, and has packages to install."""
    return SERVICE_PLUGINS.get_active_provider(name) == SERVICE_PLUGINS.get_default_provider() and name in _installing()


def demand(arn: str) -> None:
    """Raises NotImplementedError when the engine has no such service: nothing could be delivered to the resource."""
    name = arn.split(":", 3)[2] if arn.count(":") >= 5 else ""
    if is_missing(name):
        raise _missing(name)


@functools.cache
def _installing() -> frozenset[str]:
    homes = (point.module for point in entry_points(group=PLUGIN_NAMESPACE))
    return frozenset(home.removeprefix(_SERVICES).partition(".")[0] for home in homes if home.startswith(_SERVICES))


def _missing(name: str) -> NotImplementedError:
    return NotImplementedError(f"This engine has no {name}, whose software would have to be downloaded.")


def _stream_between_services_here(call: Callable[..., Any]) -> Callable[..., Any]:
    """LocalStack's streams from Kinesis fail after an answer of success, and those to OpenSearch at every record."""

    def create(context: Any, request: Any) -> Any:
        for part, name in _PARTS_OF_STREAMS.items():
            if part in request and is_missing(name):
                raise _missing(name)
        return call(context, request)

    return create


def _refuse(self: Any, target: Any = None) -> NoReturn:
    raise NotImplementedError(f"This engine downloads nothing, and {self.name} {self.version} is not here.")


def _no_catalog(_self: Any) -> NoReturn:
    raise AwsCatalogLoaderException("this engine does not ask for it")


def _not_here(service_name: str, operation_name: str | None, _status: Any) -> AwsServiceAvailabilityException:
    what = f"{operation_name} of {service_name}" if operation_name else service_name
    return AwsServiceAvailabilityException(f"This engine does not have {what}.", _NOT_SUPPORTED)
