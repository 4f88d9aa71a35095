"""LocalStack's Lambda service in this process: deliveries call it directly, not through the gateway."""

from typing import Any

from localstack.services.plugins import SERVICE_PLUGINS


def lambda_service() -> Any:
    """The `LambdaService` behind the provider; loads it when needed."""
    return SERVICE_PLUGINS.require("lambda")._provider.lambda_service
