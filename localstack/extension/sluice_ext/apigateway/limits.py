"""Limits on the size and rate of requests: API Gateway's own, the stage's, and those of each key's usage plan.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html: token buckets, first
the key's and then the one of the stage's method. AWS's limits are approximate; these are exact.
"""

import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from localstack.http import Response
from localstack.services.apigateway.next_gen.execute_api.context import RestApiInvocationContext
from localstack.services.apigateway.next_gen.execute_api.gateway_response import (
    QuotaExceededError,
    RequestTooLargeError,
    ThrottledError,
)
from localstack.services.apigateway.next_gen.execute_api.moto_helpers import get_usage_plan_keys, get_usage_plans

# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
MAX_BYTES = 10 * 1024 * 1024


class Buckets:
    """Token buckets by name. A bucket starts full, and is full again when its limits change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[Any, tuple[float, float, float, float]] = {}

    def take(self, name: Any, rate: float, burst: float, now: float | None = None) -> bool:
        """Take one token; False when the bucket is empty. It refills at ``rate`` tokens a second, up to ``burst``."""
        moment = time.monotonic() if now is None else now
        with self._lock:
            tokens, since, old_rate, old_burst = self._buckets.get(name, (burst, moment, rate, burst))
            if (old_rate, old_burst) != (rate, burst):
                tokens, since = burst, moment
            tokens = min(burst, tokens + max(0.0, moment - since) * rate)
            enough = tokens >= 1
            self._buckets[name] = (tokens - 1 if enough else tokens, moment, rate, burst)
            return enough


class Quotas:
    """Number of requests that each key made in the current period of its plan."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[Any, tuple[str, int]] = {}

    def take(self, name: Any, limit: int, period: str, now: datetime | None = None) -> bool:
        """Count one request; False when the key has used its ``limit`` for this DAY, WEEK or MONTH (UTC)."""
        current = _period(period, now or datetime.now(UTC))
        with self._lock:
            in_period, used = self._used.get(name, (current, 0))
            if in_period != current:
                used = 0
            if used >= limit:
                return False
            self._used[name] = (current, used + 1)
            return True

    def dump(self) -> dict[Any, tuple[str, int]]:
        """Everything, for a saved state."""
        with self._lock:
            return dict(self._used)

    def load(self, saved: dict[Any, tuple[str, int]]) -> None:
        """Restore what `dump` returned."""
        with self._lock:
            self._used.update(saved)


_BUCKETS, QUOTAS = Buckets(), Quotas()


def check_size(_chain: Any, context: RestApiInvocationContext, _response: Response) -> None:
    """Raises RequestTooLargeError for a body over the limit."""
    if (context.request.content_length or 0) > MAX_BYTES:
        # The request is not parsed yet, but the handlers that answer and log errors need these two values.
        path = context.request.path.partition(f"/{context.stage}")[2]
        context.context_variables = {"requestId": str(uuid.uuid4()), "path": f"/{context.stage}{path}"}
        raise RequestTooLargeError("Request Too Long")


def throttle(_chain: Any, context: RestApiInvocationContext, _response: Response) -> None:
    """Apply the limits of the usage plans and of the stage. Raises ThrottledError or QuotaExceededError."""
    key_id = (context.context_variables.get("identity") or {}).get("apiKeyId")
    if key_id:
        for plan in _plans(context, key_id):
            _take_of_plan(context, plan, key_id)
    limits = _method_limits(context)
    if limits and not _BUCKETS.take(("stage", context.api_id, context.stage, limits[0]), limits[1], limits[2]):
        raise ThrottledError("Too Many Requests")


def _plans(context: RestApiInvocationContext, key_id: str) -> list[dict[str, Any]]:
    """The usage plans of this stage that the key belongs to."""
    account, region = context.account_id, context.region
    return [
        plan
        for plan in get_usage_plans(account, region)
        if any(
            s.get("apiId") == context.api_id and s.get("stage") == context.stage for s in plan.get("apiStages") or []
        )
        and any(key["id"] == key_id for key in get_usage_plan_keys(plan["id"], account, region))
    ]


def _take_of_plan(context: RestApiInvocationContext, plan: dict[str, Any], key_id: str) -> None:
    quota, limits = plan.get("quota") or {}, plan.get("throttle") or {}
    if quota.get("limit") and not QUOTAS.take((plan["id"], key_id), int(quota["limit"]), quota.get("period", "DAY")):
        raise QuotaExceededError("Limit Exceeded")
    rate, burst = limits.get("rateLimit"), limits.get("burstLimit")
    if rate is not None or burst is not None:
        rate = float(rate or 0)
        if not _BUCKETS.take(("plan", plan["id"], key_id, context.api_id), rate, float(burst or rate)):
            raise ThrottledError("Too Many Requests")


def _method_limits(context: RestApiInvocationContext) -> tuple[str, float, float] | None:
    """The stage's settings for this method: (name of the bucket, rate, burst); None without limits."""
    settings = context.stage_configuration.get("methodSettings") or {}
    path = (context.resource or {}).get("path", "/").replace("/", "~1")
    method = context.invocation_request["http_method"]
    for name in (f"{path}/{method}", f"{path.removeprefix('~1')}/{method}", "*/*"):
        found = settings.get(name) or {}
        rate, burst = found.get("throttlingRateLimit"), found.get("throttlingBurstLimit")
        # Terraform writes -1 for no limit.
        if rate is not None and float(rate) >= 0:
            return f"{path}/{method}", float(rate), float(rate if burst is None else burst)
    return None


def _period(period: str, now: datetime) -> str:
    if period == "MONTH":
        return f"{now:%Y-%m}"
    return f"{now:%G-W%V}" if period == "WEEK" else f"{now:%Y-%m-%d}"
