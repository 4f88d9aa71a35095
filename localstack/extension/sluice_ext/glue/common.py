"""What the parts of Glue have in common: operations behind a lock, roles, events."""

import functools
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse
from localstack.aws.connect import connect_to

LOG = logging.getLogger(__name__)

type Operation = Callable[[RequestContext, ServiceRequest], ServiceResponse]


def locked(lock: AbstractContextManager[Any], operations: Mapping[str, Operation]) -> dict[str, Operation]:
    """The operations, one call at a time."""

    def one_at_a_time(call: Operation, context: RequestContext, request: ServiceRequest) -> ServiceResponse:
        with lock:
            return call(context, request)

    return {name: functools.partial(one_at_a_time, call) for name, call in operations.items()}


def role_arn(role: str, account: str) -> str:
    """ARN of a role that is given by ARN or by name."""
    return role if role.startswith("arn:") else f"arn:aws:iam::{account}:role/{role}"


def announce(account: str, region: str, kind: str, detail: Mapping[str, Any]) -> None:
    """Send an event of Glue. kind: its detail-type.

    https://docs.aws.amazon.com/glue/latest/dg/automating-awsglue-with-cloudwatch-events.html
    """
    entry = {"Source": "aws.glue", "DetailType": kind, "Detail": json.dumps(detail), "Resources": []}
    events = connect_to(aws_access_key_id=account, aws_secret_access_key="-", region_name=region).events
    try:
        events.put_events(Entries=[entry])
    except Exception:
        LOG.exception("%s was not sent: %s", kind, detail)
