"""The API's OpenAPI document, made of the routes, the models and the catalog."""

import json
from functools import cache
from typing import Any, Final

from api.answers import JSON
from api.gateway.answer_models import (  # fmt: skip
    Answer,
    CheckinsAnswer,
    DeepHealthAnswer,
    DownloadAnswer,
    ErrorAnswer,
    HealthAnswer,
    JobAnswer,
    JobsAnswer,
)
from api.models import MODELS, name_of, parameters_of
from sluice_pipeline.catalog.deployed import load_catalog

VERSION: Final = "1.0.0"
_ERRORS: Final = {
    400: "The request is wrong: a parameter, a value, or the query.",
    403: "No key, or one that is not valid.",
    404: "Nothing is there.",
    405: "The path is there, but not for this method.",
    409: "It contradicts what was asked before, or comes too early.",
    413: "The body is too large.",
    429: "Too many requests: the key's rate, burst or quota is used up.",
    500: "The API failed.",
    503: "The database does not answer.",
    504: "The query took too long.",
}
_COMMON: Final = (400, 403, 405, 413, 429, 500)
_OPEN: Final = ("/health", "/openapi.json")
_SUCCESS: Final[dict[str, tuple[int, str, Any]]] = {
    "health": (200, "The API answers.", HealthAnswer),
    "deep_health": (200, "Both answer.", DeepHealthAnswer),
    "document": (200, "The OpenAPI document.", None),
    "analytics": (200, "The rows.", Answer),
    "checkins": (200, "A page of rows.", CheckinsAnswer),
    "job_started": (202, "The job is there, and will be done.", JobAnswer),
    "jobs": (200, "A page of jobs.", JobsAnswer),
    "job": (200, "The job.", JobAnswer),
    "download": (200, "A URL that opens the rows for a quarter of an hour.", DownloadAnswer),
}
_MORE: Final = {
    "deep_health": (503, 504),
    "analytics": (503, 504),
    "job_started": (409,),
    "job": (404,),
    "download": (404, 409),
}


def answers_of(what: str) -> dict[int, Any]:
    """For Powertools: what a route may answer, by status."""
    status, description, model = _SUCCESS[what]
    content: dict[str, Any] = {"model": model} if model else {"schema": {"type": "object"}}
    found: dict[int, Any] = {status: {"description": description, "content": {JSON: content}}}
    for code in sorted({*_COMMON, *_MORE.get(what, ())}):
        found[code] = {"description": _ERRORS[code], "content": {JSON: {"model": ErrorAnswer}}}
    return found


def document(app: Any) -> str:
    """JSON, with the names of the datasets that are in service."""
    return _document(app, tuple(sorted(load_catalog().datasets)))


@cache
def _document(app: Any, datasets: tuple[str, ...]) -> str:
    """What the framework cannot know is added: the key, parameters of queries, names of datasets."""
    schema = json.loads(
        app.get_openapi_json_schema(
            title="Sluice analytics", version=VERSION, description="What was loaded into the warehouse, by question."
        )
    )
    components = schema.setdefault("components", {})
    components["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}}
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            operation["responses"].pop("422", None)  # is 400 here
            if path not in _OPEN:
                operation["security"] = [{"key": []}]
    schema["paths"]["/analytics"]["get"]["parameters"] = _query_parameters(components["schemas"])
    _name_datasets(components["schemas"], datasets)
    for name in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
        components["schemas"].pop(name, None)
    return json.dumps(schema)


def _query_parameters(schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """Each operation's parameters, flat; which belong to which is said in words, for OpenAPI cannot say it."""
    models = [model for model in MODELS if name_of(model) != "custom_query"]
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        parameters = parameters_of(model)
        for name, shape in schemas[parameters.__name__].get("properties", {}).items():
            one = found.setdefault(name, {"name": name, "in": "query", "required": False, "schema": {"anyOf": []},
                                          "description": ""})  # fmt: skip
            one["description"] += f"{', ' if one['description'] else 'Of '}{name_of(model)}"
            if shape not in one["schema"]["anyOf"]:
                one["schema"]["anyOf"].append(shape)
    names = {"type": "string", "enum": [name_of(model) for model in models]}
    head = {"name": "operation", "in": "query", "required": True, "schema": names}
    return [head, *found.values()]


def _name_datasets(schemas: dict[str, Any], datasets: tuple[str, ...]) -> None:
    for shape in schemas.values():
        if "dataset" in shape.get("properties", {}):
            shape["properties"]["dataset"]["enum"] = list(datasets)
