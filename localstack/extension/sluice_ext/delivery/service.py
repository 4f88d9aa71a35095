"""LocalStack's Lambda service in this process, for deliveries that need no request through the gateway."""

from typing import Any

from localstack.services.plugins import SERVICE_PLUGINS


def lambda_service() -> Any:
    """The `LambdaService` behind the provider (loads it when it is not loaded yet)."""
    return SERVICE_PLUGINS.require("lambda")._provider.lambda_service
