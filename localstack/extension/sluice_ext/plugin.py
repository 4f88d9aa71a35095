"""Entry points: everything that LocalStack loads from this package.

Imports are inside the functions, because plux loads this module early.
"""

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


@aws_provider(api="athena", name="sluice")
def athena() -> Service:
    """PROVIDER_OVERRIDE_ATHENA=sluice."""
    from sluice_ext.athena.provider import create_service

    return create_service()


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


@aws_provider(api="dynamodbstreams", name="sluice")
def dynamodbstreams() -> Service:
    """PROVIDER_OVERRIDE_DYNAMODBSTREAMS=sluice."""
    from sluice_ext.dynamodb.streams.provider import create_service

    return create_service()


@aws_provider(api="events", name="sluice")
def events() -> Service:
    """PROVIDER_OVERRIDE_EVENTS=sluice: LocalStack's own provider, which respects the state of rules."""
    from localstack.services.events.provider import EventsProvider

    from sluice_ext import events as ours

    ours.install()
    return Service.for_provider(EventsProvider())


@aws_provider(api="glue", name="sluice")
def glue() -> Service:
    """PROVIDER_OVERRIDE_GLUE=sluice."""
    from sluice_ext.glue.provider import create_service

    return create_service()


@aws_provider(api="kms", name="sluice")
def kms() -> Service:
    """PROVIDER_OVERRIDE_KMS=sluice: LocalStack's own provider, with the keys that AWS manages."""
    from sluice_ext.kms.provider import create_service

    return create_service()


@aws_provider(api="lambda", name="sluice")
def lambda_() -> Service:
    """PROVIDER_OVERRIDE_LAMBDA=sluice: LocalStack's own provider with some parts replaced."""
    from localstack.services.lambda_.provider import LambdaProvider

    from sluice_ext import delivery, executor

    executor.install()
    delivery.install()
    return Service.for_provider(LambdaProvider())


@aws_provider(api="logs", name="sluice")
def logs() -> Service:
    """PROVIDER_OVERRIDE_LOGS=sluice: LocalStack's own provider, which understands filter patterns and queries."""
    from sluice_ext.logs.provider import create_service

    return create_service()


@aws_provider(api="rds", name="sluice")
def rds() -> Service:
    """PROVIDER_OVERRIDE_RDS=sluice."""
    from sluice_ext.rds.provider import create_service

    return create_service()


@aws_provider(api="redshift-data", name="sluice")
def redshift_data() -> Service:
    """PROVIDER_OVERRIDE_REDSHIFT_DATA=sluice."""
    from sluice_ext.redshift.data.provider import create_service

    return create_service()


@aws_provider(api="redshift-serverless", name="sluice")
def redshift_serverless() -> Service:
    """PROVIDER_OVERRIDE_REDSHIFT_SERVERLESS=sluice."""
    from sluice_ext.redshift.serverless import create_service

    return create_service()


@aws_provider(api="s3", name="sluice")
def s3() -> Service:
    """PROVIDER_OVERRIDE_S3=sluice: LocalStack's own provider; its objects are in the engine's folder."""
    from sluice_ext.s3.provider import create_service

    return create_service()


@aws_provider(api="scheduler", name="sluice")
def scheduler() -> Service:
    """PROVIDER_OVERRIDE_SCHEDULER=sluice."""
    from sluice_ext.scheduler.provider import create_service

    return create_service()


@aws_provider(api="secretsmanager", name="sluice")
def secretsmanager() -> Service:
    """PROVIDER_OVERRIDE_SECRETSMANAGER=sluice: LocalStack's own provider, with AWS's rotation."""
    from localstack.services.moto import MotoFallbackDispatcher
    from localstack.services.secretsmanager.provider import SecretsmanagerProvider

    from sluice_ext import secretsmanager as ours

    ours.install()
    return Service.for_provider(SecretsmanagerProvider(), dispatch_table_factory=MotoFallbackDispatcher)


@aws_provider(api="sns", name="sluice")
def sns() -> Service:
    """PROVIDER_OVERRIDE_SNS=sluice: LocalStack's own provider, with AWS's filter policies and metrics."""
    from localstack.services.sns.provider import SnsProvider

    from sluice_ext import sns as ours

    ours.install()
    return Service.for_provider(SnsProvider())


@aws_provider(api="sqs", name="sluice")
def sqs() -> Service:
    """PROVIDER_OVERRIDE_SQS=sluice: LocalStack's own provider, with AWS's metrics and redrive."""
    from localstack.services.sqs.provider import SqsProvider

    from sluice_ext import sqs as ours

    ours.install()
    return Service.for_provider(SqsProvider())


@aws_provider(api="stepfunctions", name="sluice")
def stepfunctions() -> Service:
    """PROVIDER_OVERRIDE_STEPFUNCTIONS=sluice: LocalStack's own provider, with AWS's metrics and stops."""
    from localstack.services.stepfunctions.provider import StepFunctionsProvider

    from sluice_ext import stepfunctions as ours

    ours.install()
    return Service.for_provider(StepFunctionsProvider())


@hooks.on_infra_start()
def install() -> None:
    """Add the /_sluice routes, shorten the request path, and restore the saved state, if any."""
    from sluice_ext import control, loading, offline, settings
    from sluice_ext.gateway import headers, json_bodies, pausing, shortcuts
    from sluice_ext.redshift import model

    loading.install()
    offline.install()
    model.install()
    control.install()
    shortcuts.install()
    json_bodies.install()
    headers.install()
    pausing.install()
    control.restore()
    if settings.REDSHIFT_PORT:
        from sluice_ext.redshift import wire

        wire.start()


@hooks.on_infra_shutdown()
def shutdown() -> None:
    """Write the last logs and end every function process."""
    from sluice_ext import athena, executor, glue, logs, redshift, stepfunctions
    from sluice_ext.timeline.clock import CLOCK

    CLOCK.stop()
    logs.shutdown()
    executor.shutdown()
    athena.shutdown()
    glue.shutdown()
    redshift.shutdown()
    stepfunctions.shutdown()
