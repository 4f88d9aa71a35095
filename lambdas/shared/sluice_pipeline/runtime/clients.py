"""AWS clients for functions: made once, with timeouts that end well before the function's own."""

import os
from functools import cache
from typing import Any, Final, cast

import boto3
from botocore.config import Config

_USER_AGENT: Final = f"sluice Boto3/{boto3.__version__}"


class _OnDemand:
    """A client that is made at its first use; whatever is asked of it is the client's."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Any:
        return getattr(client(self._service), name)


def on_demand(service: str) -> Any:
    """A client for calls that few invocations make: one of SNS is a twentieth of a cold start."""
    return _OnDemand(service)


@cache
def client(service: str) -> Any:
    """The client of a service, whose timeouts on a dead connection end in time for the function to report it.

    Clients can be shared, also between threads:
    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/clients.html

    Raises:
        botocore.exceptions.NoRegionError: outside of a function without AWS_REGION.
    """
    config = Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "standard", "max_attempts": 4},
        # The default header is made of a dozen parts, twice a call: a third of what a small call costs.
        user_agent=_USER_AGENT,
        # DynamoDB checks what it gets itself; walking through a transaction here takes as long as sending it. S3 not:
        # there an empty key would name the bucket.
        parameter_validation=service != "dynamodb",
        max_pool_connections=10,
        # Checksums only where the service asks for them: a range is checked by its length, and every byte costs.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        region_name=os.environ.get("AWS_REGION"),
    )
    return cast(Any, boto3).client(service, config=config)
