"""GET /checkins: a user's check-ins, page by page. The route is there when their branch is (checkin_enabled)."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Final

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from api.answers import JSON, plain_body, refused
from api.gateway.openapi_document import answers_of
from checkins.rows import LONGEST_USER, Checkins
from sluice_pipeline.dynamo.pages import MOST, InvalidQuery
from sluice_pipeline.dynamo.values import with_numbers

_NAMES: Final = ("user", "from", "to", "limit", "cursor")
_LONGEST_TIME: Final = 40  # characters
_LONGEST_CURSOR: Final = 10_000


def add_checkins(app: APIGatewayRestResolver, reader: Checkins) -> None:
    """Adds the route to the API."""

    @app.get("/checkins", summary="A user's check-ins, newest first", responses=answers_of("checkins"))
    def checkins(
        user: Annotated[str, Query(min_length=1, max_length=LONGEST_USER, description="Whose check-ins.")],
        since: Annotated[str, Query(alias="from", max_length=_LONGEST_TIME, description="At or after this time.")] = "",
        until: Annotated[str, Query(alias="to", max_length=_LONGEST_TIME, description="Before this time.")] = "",
        limit: Annotated[int, Query(ge=1, le=MOST, description="Rows of a page.")] = 100,
        cursor: Annotated[str, Query(max_length=_LONGEST_CURSOR, description="Leads to the next page.")] = "",
    ) -> Response[str]:
        _only_known(app.current_event.resolved_query_string_parameters or {})
        try:
            page = reader.of_user(user, since, until, limit, cursor)
        except InvalidQuery as error:
            raise refused(str(error), "times are ISO 8601, in UTC unless they say otherwise") from error
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        rows = with_numbers(page.items)
        body = plain_body(data=rows, metadata={"resultCount": len(rows), "timestamp": at, "cursor": page.cursor})
        return Response(status_code=200, content_type=JSON, body=body)


def _only_known(given: Iterable[str]) -> None:
    """Raises ApiError (400) for a parameter that would otherwise be left out in silence."""
    for name in given:
        if name not in _NAMES:
            raise refused(f"{name[:100]} is unknown", f"known are {', '.join(_NAMES)}")
