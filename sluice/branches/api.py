"""sluice api: questions to the analytics API, with the key filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Env, Json, Target

if TYPE_CHECKING:
    from sluice.branches.api_client import Answer, Client

Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter; again for another.")
]
Key = Annotated[str, typer.Option(help="Name of the API key; else the first.")]
_verbs = typer.Typer(help="Ask the analytics API; the key is filled in.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the group of verbs."""
    app.add_typer(_verbs, name="api", rich_help_panel="Branches")


@_verbs.command()
def health(target: Target = "local", env: Env = "dev", json: Json = False) -> None:
    """Whether the API and its database answer. Exit code 1 when not."""
    answer = _client(target, env).get("/health")
    _stop_at_errors(answer, json)
    if json:
        console.print_json(answer.body)
    else:
        console.print_table(("api", "database", "ms"), [("ok", "ok", answer.body["milliseconds"])])


@_verbs.command()
def openapi(target: Target = "local", env: Env = "dev") -> None:
    """The OpenAPI document, as JSON."""
    answer = _client(target, env).get("/openapi.json")
    _stop_at_errors(answer, True)
    console.print_json(answer.body)


@_verbs.command()
def call(
    operation: Annotated[str, typer.Argument(help="Such as count_analysis; `sluice api operations` lists them.")],
    parameter: Parameters = None,
    key: Key = "",
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Put a question. Exit code 1 when the API answers with an error, 2 when a parameter is not NAME=VALUE."""
    answer = _client(target, env, key).get("/analytics", operation=operation, **_parsed(parameter))
    _show(answer, json)


@_verbs.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT; tables with their schema.")],
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=1000, help="Rows at most.")] = 100,
    key: Key = "",
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Put a SELECT of your own (custom_query). Exit code 1 when it is refused or fails."""
    _show(_client(target, env, key).ask("custom_query", sql=sql, limit=limit), json)


@_verbs.command()
def operations(target: Target = "local", env: Env = "dev", json: Json = False) -> None:
    """The operations and their parameters, as the API's own document has them."""
    document = _client(target, env).get("/openapi.json").body
    schemas = document["components"]["schemas"]
    found = []
    for mapped in schemas["Request"]["discriminator"]["mapping"].values():
        model = schemas[mapped.rsplit("/", 1)[-1]]
        parameters = schemas[model["properties"]["parameters"]["$ref"].rsplit("/", 1)[-1]]["properties"]
        found.append({"operation": model["properties"]["operation"]["const"], "about": model["description"],
                      "parameters": sorted(parameters)})  # fmt: skip
    if json:
        console.print_json(found)
        return
    rows = [(one["operation"], " ".join(one["about"].split()), ", ".join(one["parameters"])) for one in found]
    console.print_table(("operation", "what it answers", "parameters"), rows)


def _client(target: str, env: str, key: str = "") -> Client:
    from sluice.branches.api_client import Client
    from sluice.stack import choose

    return Client.of(choose(target, env), key)


def _parsed(parameters: list[str] | None) -> dict[str, str]:
    found = {}
    for given in parameters or []:
        name, equals, value = given.partition("=")
        if not (name and equals):
            console.fail(f"{given!r} is not NAME=VALUE")
        found[name] = value
    return found


def _stop_at_errors(answer: Answer, json: bool) -> None:
    """Ends with code 1, and says what the API said."""
    if answer.ok:
        return
    error = answer.body.get("error", {"type": "unknown", "message": "no error was given"})
    if json:
        console.print_json(answer.body)
    advice = "; ".join(answer.body.get("suggestions", []))
    console.fail(f"{answer.status} {error['type']}: {error['message']}{f' ({advice})' if advice else ''}", 1)


def _show(answer: Answer, json: bool) -> None:
    _stop_at_errors(answer, json)
    if json:
        console.print_json(answer.body)
        return
    data: list[dict[str, Any]] = answer.body["data"]
    columns = list(data[0]) if data else ["(no rows)"]
    console.print_table(columns, [tuple(str(value) for value in row.values()) for row in data])
    metadata = answer.body["metadata"]
    more = ", more were left out" if metadata["truncated"] else ""
    kept = ", kept from before" if metadata["cacheHit"] else ""
    console.note(f"{metadata['resultCount']} rows{more}, {answer.body['executionTime']:.1f} ms{kept}")
