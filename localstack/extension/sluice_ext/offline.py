"""Nothing is downloaded or installed while the engine runs: what would need it is refused in one line.

Replaced:
- `PackageInstaller.install` and that of several packages at once download software on first use (npm, Java, OpenSearch).
  Every caller gets `NotImplementedError`, which a client sees as InternalFailure with the status 501.
- `ServicePluginManager._load_service_plugin` refuses a service whose provider needs such a package: some of them would
  install it in a thread, after an answer of success.
- `RemoteCatalogLoader.get_remote_catalog` asks LocalStack's site what newer versions have, for each operation that is
  not there. `get_service_availability_exception` speaks of licences; here it names what is missing.
"""

import functools
from importlib.metadata import entry_points
from typing import Any, NoReturn

from localstack.aws import skeleton
from localstack.aws.catalog_exceptions import AwsServiceAvailabilityException
from localstack.aws.handlers import service
from localstack.packages.api import PLUGIN_NAMESPACE, MultiPackageInstaller, PackageInstaller
from localstack.services.plugins import ServicePluginManager
from localstack.utils.catalog.catalog_loader import AwsCatalogLoaderException, RemoteCatalogLoader

from sluice_ext.patching import replace

_SERVICES = "localstack.services."
_NOT_SUPPORTED = 8  # LocalStack's own number for it


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def load(self: Any, name: str) -> Any:
        if self.get_active_provider(name) == self.get_default_provider() and name in services_that_install():
            raise NotImplementedError(f"This engine has no {name}, whose software would have to be downloaded.")
        return original(self, name)

    for installer in (PackageInstaller, MultiPackageInstaller):
        replace(installer, "install", _refuse, expect="(self, target)")
    replace(RemoteCatalogLoader, "get_remote_catalog", _no_catalog, expect="(self)")
    for place in (service, skeleton):
        expect = "(service_name, operation_name, status)"
        replace(place, "get_service_availability_exception", _not_here, expect=expect)
    original = replace(ServicePluginManager, "_load_service_plugin", load, expect="(self, name)")


@functools.cache
def services_that_install() -> frozenset[str]:
    """The folders of LocalStack's services for which it has packages to install."""
    homes = (point.module for point in entry_points(group=PLUGIN_NAMESPACE))
    return frozenset(home.removeprefix(_SERVICES).partition(".")[0] for home in homes if home.startswith(_SERVICES))


def _refuse(self: Any, target: Any = None) -> NoReturn:
    raise NotImplementedError(f"This engine downloads nothing, and {self.name} {self.version} is not here.")


def _no_catalog(_self: Any) -> NoReturn:
    raise AwsCatalogLoaderException("this engine does not ask for it")


def _not_here(service_name: str, operation_name: str | None, _status: Any) -> AwsServiceAvailabilityException:
    what = f"{operation_name} of {service_name}" if operation_name else service_name
    return AwsServiceAvailabilityException(f"This engine does not have {what}.", _NOT_SUPPORTED)
