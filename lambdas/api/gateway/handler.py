"""api: what was loaded, over HTTP. Routes only; operations are in api.queries, their models in api.models.

API Gateway checks keys, throttles and sizes before; its own answers have the same shape (infra/modules/api).
"""

import os
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from api.answers import JSON, ApiError, error_body, plain_body, refused, success_body
from api.gateway.checkin_routes import add_checkins
from api.gateway.invalid_request import explain
from api.gateway.job_routes import answered, router
from api.gateway.openapi_document import answers_of, document
from api.models import REQUEST, Request
from api.queries.analytics import Analytics
from api.queries.reading import Reader
from api.queries.result_cache import ResultCache
from checkins.rows import Checkins
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import measure, traced
from warehouse.database import Warehouse

logger = Logger()
MAX_BODY: Final = 100_000  # characters; the longest query has a tenth of that
ORIGINS: Final = [origin for origin in os.environ.get("CORS_ORIGINS", "").split(",") if origin]
cors = CORSConfig(allow_origin=ORIGINS[0], extra_origins=ORIGINS[1:], max_age=3600) if ORIGINS else None
app = APIGatewayRestResolver(enable_validation=True, cors=cors)
warehouse = Warehouse(client("secretsmanager"), os.environ["DATABASE_SECRET_ARN"], "api")
reader = Reader(warehouse, float(os.environ["STATEMENT_TIMEOUT_SECONDS"]))
table = Table(client("dynamodb"), os.environ["ANALYTICS_TABLE"])
if os.environ["CHECKINS_TABLE"]:
    add_checkins(app, Checkins(client("dynamodb"), os.environ["CHECKINS_TABLE"]))
analytics = Analytics(reader, ResultCache(table, int(os.environ["CACHE_TTL_SECONDS"])))


app.include_router(router)


@app.get("/health", summary="Whether the API answers", responses=answers_of("health"))
def health() -> Response[str]:
    """Opens no connection: it needs no key, and a client that asks often does not take the database from others."""
    return answered(plain_body(status="ok"))


@app.get("/health/deep", summary="Whether the API and its database answer", responses=answers_of("deep_health"))
def deep_health() -> Response[str]:
    began = time.perf_counter()
    with reader.snapshot():
        pass
    return answered(plain_body(status="ok", database="ok", milliseconds=_since(began)))


@app.get("/openapi.json", summary="This document", responses=answers_of("document"))
def openapi() -> Response[str]:
    return answered(document(app))


@app.get("/analytics", summary="An operation, its parameters in the query string", responses=answers_of("analytics"))
def ask_by_query() -> Response[str]:
    return _answer(_request_of(app.current_event.resolved_query_string_parameters or {}))


@app.post("/analytics", summary="An operation, its parameters in the body", responses=answers_of("analytics"))
def ask(request: Annotated[Request, Body()]) -> Response[str]:
    return _answer(request)


def _answer(request: Any) -> Response[str]:
    began = time.perf_counter()
    result = analytics.answer(request)
    milliseconds = _since(began)
    measure(Requests=1, CacheHits=int(result.cached), AnswerLatency=milliseconds)
    return answered(success_body(request.operation, _request_id(), milliseconds, result))


def _request_of(given: Mapping[str, Any]) -> Any:
    """The request in a query string, which is flat and has each parameter once. Raises ApiError, ValidationError."""
    flat = {name: values[0] if isinstance(values, list) and len(values) == 1 else values
            for name, values in given.items()}  # fmt: skip
    if twice := sorted(name for name, value in flat.items() if isinstance(value, list)):
        raise refused(f"{twice[0]} is given twice", "lists are written with commas")
    if flat.get("operation") == "custom_query":
        raise refused("custom_query is taken by POST only", "send the query in the body: it does not belong in a URL")
    # All values of a query string are text: numbers are read from it.
    return REQUEST.validate_python({"operation": flat.pop("operation", None), "parameters": flat}, strict=False)


def _request_id() -> str:
    return str(app.current_event.request_context.request_id)


def _since(began: float) -> float:
    """Milliseconds."""
    return round((time.perf_counter() - began) * 1000, 3)


# --- errors -----------------------------------------------------------------------------------------------------------


@app.exception_handler(ApiError)  # type: ignore[untyped-decorator]
def handle_api_error(error: ApiError) -> Response[str]:
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning(error.message, exc_info=error.__cause__ or error)
        measure(Failures=1, HandledErrors=1)
    return answered(error.body(), error.status)


@app.exception_handler([RequestValidationError, ValidationError])  # type: ignore[untyped-decorator]
def handle_invalid_request(error: RequestValidationError | ValidationError) -> Response[str]:
    """400 with the place and the reason; the caller's value is not sent back."""
    return answered(error_body("InvalidRequest", *explain(error.errors())), 400)


@app.exception_handler(UnicodeDecodeError)  # type: ignore[untyped-decorator]
def handle_undecodable_body(_: UnicodeDecodeError) -> Response[str]:
    return answered(error_body("InvalidRequest", "the body is not UTF-8", ["send JSON"]), 400)


@app.not_found
def handle_not_found(_: NotFoundError) -> Response[str]:
    """405 for a path that has other methods, else 404."""
    path, method = str(app.current_event.path), str(app.current_event.http_method)
    allowed = sorted({m for route in _routes() if route.rule.match(path) for m in [route.method]})
    if allowed:
        body = error_body("MethodNotAllowed", f"{method} is not possible here", [f"use {', '.join(allowed)}"])
        return Response(405, JSON, body, {"Allow": ", ".join(allowed)})
    return answered(error_body("NotFound", "there is nothing at this path", ["GET /openapi.json lists all"]), 404)


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def handle_unexpected(error: Exception) -> Response[str]:
    """An error of the API itself: the log has its text, the answer has not."""
    logger.exception("the request failed", exc_info=error)
    measure(Failures=1, HandledErrors=1)
    return answered(error_body("InternalError", "the request failed", [f"name the request {_request_id()}"]), 500)


def _routes() -> list[Any]:
    return [*app._static_routes, *app._dynamic_routes]


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    if len(event.get("body") or "") > MAX_BODY:
        suggestion = f"a body has at most {MAX_BODY:,} characters"
        body = error_body("RequestTooLarge", "the body is too large", [suggestion])
        return {"statusCode": 413, "headers": {"Content-Type": JSON}, "body": body, "isBase64Encoded": False}
    return app.resolve(event, context)
