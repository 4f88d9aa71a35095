"""sluice api: questions to the analytics API, with the key filled in."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
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


_jobs = typer.Typer(help="Questions that take their time.", no_args_is_help=True)
JOB_SECONDS = 900.0


def register(app: typer.Typer) -> None:
    """Adds the group of verbs."""
    _verbs.add_typer(_jobs, name="job")
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


@_jobs.command("start")
def job_start(
    operation: Annotated[str, typer.Argument(help="As of `sluice api call`, or custom_query with -p sql=...")],
    parameter: Parameters = None,
    idempotency_key: Annotated[str, typer.Option("--id", help="The same question with the same id is one job.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit code 1 when it failed.")] = False,
    key: Key = "",
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Start a job; prints its id."""
    client = _client(target, env, key)
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
    parameters = {name: _number(value) for name, value in _parsed(parameter).items()}
    answer = client.post("/analytics/jobs", {"operation": operation, "parameters": parameters}, headers)
    _stop_at_errors(answer, json)
    if wait:
        answer = _ended(client, answer.body["job"]["id"])
    _show_job(answer, json)


@_jobs.command("show")
def job_show(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended.")] = False,
    key: Key = "",
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """A job, and its rows when they fit. Exit code 1 when it failed or is not there."""
    client = _client(target, env, key)
    _show_job(_ended(client, job) if wait else client.get(f"/analytics/jobs/{job}"), json)


@_jobs.command("ls")
def job_list(
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=100, help="Jobs of a page.")] = 20,
    cursor: Annotated[str, typer.Option(help="The page after the one that gave this cursor.")] = "",
    key: Key = "",
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Jobs, newest first."""
    answer = _client(target, env, key).get("/analytics/jobs", limit=limit, cursor=cursor)
    _stop_at_errors(answer, json)
    if json:
        console.print_json(answer.body)
        return
    fields = ("id", "operation", "state", "createdAt", "finishedAt", "resultCount")
    console.print_table(fields, [[job.get(name) for name in fields] for job in answer.body["jobs"]])
    if answer.body["cursor"]:
        console.note(f"more: --cursor {answer.body['cursor']}")


@_jobs.command("download")
def job_download(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; else stdout.")] = None,
    key: Key = "",
    target: Target = "local",
    env: Env = "dev",
) -> None:
    """A job's rows, as a JSON array."""
    import sys
    import urllib.request

    from sluice.branches.api_client import Client, reachable
    from sluice.stack import choose

    stack = choose(target, env)
    answer = Client.of(stack, key).get(f"/analytics/jobs/{job}/download")
    _stop_at_errors(answer, False)
    with urllib.request.urlopen(reachable(stack, answer.body["url"]), timeout=60) as rows:
        if output is None:
            shutil.copyfileobj(rows, sys.stdout.buffer)
            return
        with output.open("wb") as file:
            shutil.copyfileobj(rows, file)
    console.note(f"{answer.body['resultCount']} rows, {console.human_bytes(answer.body['bytes'])} in {output}")


def _ended(client: Client, job: str) -> Answer:
    """The job once it has ended. Raises SluiceError after a quarter of an hour."""
    end = time.monotonic() + JOB_SECONDS
    while True:
        answer = client.get(f"/analytics/jobs/{job}")
        if not answer.ok or answer.body["job"]["state"] in ("succeeded", "failed"):
            return answer
        if time.monotonic() > end:
            console.fail(f"{job} has not ended after {JOB_SECONDS:.0f} s", 1)
        time.sleep(0.5)


def _show_job(answer: Answer, json: bool) -> None:
    _stop_at_errors(answer, json)
    job = answer.body["job"]
    if json:
        console.print_json(answer.body)
    else:
        fields = ("id", "operation", "state", "createdAt", "finishedAt", "resultCount")
        console.print_table(fields, [[job.get(name) for name in fields]])
        if data := answer.body.get("data"):
            console.print_table(list(data[0]), [tuple(str(value) for value in row.values()) for row in data])
        if "download" in answer.body:
            console.note(f"the rows: sluice api job download {job['id']} -o rows.json")
    if job["state"] == "failed":
        console.fail(f"{job['error']['type']}: {job['error']['message']}", 1)


def _number(value: str) -> Any:
    """In a body, unlike a query string, a number or a truth is none when it is written as text."""
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.isascii() and value.isdigit() else value


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
