"""CloudWatch Logs: LocalStack's own provider, whose filter patterns filter, and whose queries answer what they ask."""

from typing import Any

from localstack.aws.api import RequestContext, handler
from localstack.aws.api.logs import InvalidParameterException, MalformedQueryException, ResourceNotFoundException
from localstack.services.logs.models import get_moto_logs_backend
from localstack.services.logs.provider import LogsProvider
from localstack.services.moto import MotoFallbackDispatcher, call_moto
from localstack.services.plugins import Service
from moto.logs import models

from sluice_ext.logs import arriving, querying, searching
from sluice_ext.logs.filters import InvalidFilter, compile_filter
from sluice_ext.logs.query_language import Malformed
from sluice_ext.patching import replace

_NO_GROUP = "The specified log group does not exist."


class Provider(LogsProvider):  # type: ignore[misc]
    """The operations that read filter patterns; https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/."""

    @handler("PutLogEvents", expand=False)
    def put_log_events(self, context: RequestContext, _request: Any) -> Any:
        """Stores the events; what filters do with them is in `arriving`."""
        return call_moto(context)

    @handler("PutMetricFilter", expand=False)
    def put_metric_filter(self, context: RequestContext, request: Any) -> Any:
        """Creates or replaces the filter."""
        backend = get_moto_logs_backend(context.account_id, context.region)
        group, name = request["logGroupName"], request["filterName"]
        if group not in backend.groups:
            raise ResourceNotFoundException(_NO_GROUP)
        check_pattern(request.get("filterPattern"))
        for change in request.get("metricTransformations") or []:
            _check_transformation(change)
        call_moto(context)
        # moto adds a second one of the same name.
        found = backend.filters.metric_filters
        same = [one for one in found if (one["logGroupName"], one["filterName"]) == (group, name)]
        for former in same[:-1]:
            found[:] = [one for one in found if one is not former]

    @handler("PutSubscriptionFilter", expand=False)
    def put_subscription_filter(self, context: RequestContext, request: Any) -> Any:
        """Creates or replaces the filter."""
        check_pattern(request.get("filterPattern"))
        call_moto(context)

    @handler("FilterLogEvents", expand=False)
    def filter_log_events(self, context: RequestContext, request: Any) -> Any:
        """The events of a group that match, oldest first."""
        backend = get_moto_logs_backend(context.account_id, context.region)
        name = (
            request.get("logGroupName") or (request.get("logGroupIdentifier") or "").removesuffix(":*").split(":")[-1]
        )
        if name not in backend.groups:
            raise ResourceNotFoundException(_NO_GROUP)
        check_pattern(request.get("filterPattern"))
        try:
            return searching.search(backend.groups[name], request)
        except searching.InvalidSearch as error:
            raise InvalidParameterException(str(error)) from None

    @handler("StartQuery", expand=False)
    def start_query(self, context: RequestContext, request: Any) -> Any:
        """Runs the query at once. What this engine does not have of the language is refused."""
        language, limit = request.get("queryLanguage") or "CWLI", request.get("limit")
        if language != "CWLI":
            raise InvalidParameterException(f"queryLanguage {language} is not supported by this engine")
        names = [one.removesuffix(":*").split(":")[-1] for one in request.get("logGroupIdentifiers") or []]
        names += request.get("logGroupNames") or ([request["logGroupName"]] if request.get("logGroupName") else [])
        backend = get_moto_logs_backend(context.account_id, context.region)
        if not names or any(name not in backend.groups for name in names):
            raise ResourceNotFoundException(_NO_GROUP)
        try:
            query = backend.start_query(names, request["startTime"], request["endTime"], request["queryString"])
        except Malformed as error:
            raise MalformedQueryException(str(error)) from None
        if limit:
            backend.queries[query].results = backend.queries[query].results[:limit]
        return {"queryId": str(query)}


def check_pattern(pattern: str | None) -> None:
    """Raises InvalidParameterException for what is not a filter pattern."""
    try:
        compile_filter(pattern or "")
    except InvalidFilter as error:
        raise InvalidParameterException(str(error)) from None


def _check_transformation(change: Any) -> None:
    if change.get("dimensions") and change.get("defaultValue") is not None:
        raise InvalidParameterException(
            "Invalid metric transformation: dimensions and default value are mutually exclusive"
        )
    if len(change.get("dimensions") or {}) > 3:
        raise InvalidParameterException("Invalid metric transformation: it has at most 3 dimensions")


def create_service() -> Service:
    """The service with its patches. Raises UnexpectedEngine when LocalStack is not the version we know."""
    provider = Provider()  # its module replaces moto's streams first
    arriving.install()
    replace(models, "execute_query", querying.execute, expect="(log_groups, query, start_time, end_time)")
    return Service.for_provider(provider, dispatch_table_factory=MotoFallbackDispatcher)
