"""AWS clients for functions: made once, with timeouts that end well before the function's own."""

import os
from typing import Any, cast

import boto3
from botocore.config import Config


def client(service: str) -> Any:
    """A client whose timeouts on a dead connection end in time for the function to report it.

    Raises:
        botocore.exceptions.NoRegionError: outside of a function without AWS_REGION.
    """
    config = Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "standard", "max_attempts": 4},
        max_pool_connections=10,
        # Checksums only where the service asks for them: a range is checked by its length, and every byte costs.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        region_name=os.environ.get("AWS_REGION"),
    )
    return cast(Any, boto3).client(service, config=config)
