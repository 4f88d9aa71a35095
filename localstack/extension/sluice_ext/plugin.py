"""Entry points: everything LocalStack loads from this package. Imports stay in the functions: plux reads this early."""

import logging
from typing import Any

from localstack.runtime.server.core import RuntimeServerPlugin
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.plugins import Service, aws_provider

from localstack.runtime import hooks

LOG = logging.getLogger(__name__)


class ProcessExecutorPlugin(RuntimeExecutorPlugin):  # type: ignore[misc]
    """LAMBDA_RUNTIME_EXECUTOR=process."""

    name = "process"

    def load(self, *_args: Any, **_kwargs: Any) -> Any:
        from sluice_ext.executor.executor import ProcessRuntimeExecutor

        return ProcessRuntimeExecutor


class ThreadedServerPlugin(RuntimeServerPlugin):  # type: ignore[misc]
    """GATEWAY_SERVER=sluice."""

    name = "sluice"

    def load(self, *_args: Any, **_kwargs: Any) -> Any:
        from sluice_ext.gateway.server import ThreadedServer

        return ThreadedServer()


@aws_provider(api="apigateway", name="sluice")
def apigateway() -> Service:
    """PROVIDER_OVERRIDE_APIGATEWAY=sluice: LocalStack's own provider, with limits, logs and error templates."""
    from localstack.services.apigateway.next_gen.provider import ApigatewayNextGenProvider
    from localstack.services.moto import MotoFallbackDispatcher

    from sluice_ext import apigateway as ours

    ours.install()
    return Service.for_provider(ApigatewayNextGenProvider(), dispatch_table_factory=MotoFallbackDispatcher)


@aws_provider(api="cloudwatch", name="sluice")
def cloudwatch() -> Service:
    """PROVIDER_OVERRIDE_CLOUDWATCH=sluice."""
    from sluice_ext.metrics.provider import create_service

    return create_service()


@aws_provider(api="dynamodb", name="sluice")
def dynamodb() -> Service:
    """PROVIDER_OVERRIDE_DYNAMODB=sluice."""
    from sluice_ext.dynamodb.provider import create_service

    return create_service()


@aws_provider(api="lambda", name="sluice")
def lambda_() -> Service:
    """PROVIDER_OVERRIDE_LAMBDA=sluice: LocalStack's own provider, some parts replaced (on first use: it is large)."""
    from localstack.services.lambda_.provider import LambdaProvider

    from sluice_ext import delivery, executor

    executor.install()
    delivery.install()
    return Service.for_provider(LambdaProvider())


@aws_provider(api="rds", name="sluice")
def rds() -> Service:
    """PROVIDER_OVERRIDE_RDS=sluice."""
    from sluice_ext.rds.provider import create_service

    return create_service()


@aws_provider(api="s3", name="sluice")
def s3() -> Service:
    """PROVIDER_OVERRIDE_S3=sluice: LocalStack's own provider; its objects lie in the engine's folder."""
    from sluice_ext.storage import create_service

    return create_service()


@aws_provider(api="sqs", name="sluice")
def sqs() -> Service:
    """PROVIDER_OVERRIDE_SQS=sluice: LocalStack's own provider, with AWS's metrics and redrive."""
    from localstack.services.sqs.provider import SqsProvider

    from sluice_ext.delivery import redrive
    from sluice_ext.metrics import queues

    queues.install()
    redrive.install()
    return Service.for_provider(SqsProvider())


@aws_provider(api="stepfunctions", name="sluice")
def stepfunctions() -> Service:
    """PROVIDER_OVERRIDE_STEPFUNCTIONS=sluice: LocalStack's own provider, with AWS's metrics and stops."""
    from localstack.services.stepfunctions.provider import StepFunctionsProvider

    from sluice_ext import stopping
    from sluice_ext.metrics import workflows

    stopping.install()
    workflows.install()
    return Service.for_provider(StepFunctionsProvider())


@hooks.on_infra_start()
def install() -> None:
    """Add the /_sluice routes and shorten the request path."""
    from sluice_ext import control
    from sluice_ext.gateway import shortcuts

    control.install()
    shortcuts.install()


@hooks.on_infra_shutdown()
def shutdown() -> None:
    """Stop what we started; no function process may outlive the engine."""
    from sluice_ext import delivery, executor

    delivery.shutdown()
    executor.shutdown()
