"""`sluice api`: questions to the analytics API, with the key filled in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Where, on_stack, with_tables
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.branches.api.client import Answer, Client

HEALTH = layout("api", "database", "ms:number")
OPERATIONS = layout("operation", "what it answers:fold", "parameters:fold")
_JOB_FIELDS = ("id", "operation", "state", "createdAt", "finishedAt", "resultCount")
JOBS = layout("id", "operation", "state", "created", "finished?1", "rows:number")

Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter; again for another.")
]
Key = Annotated[str, typer.Option(help="Name of the API key; else the first.")]

PANEL, ORDER = "Branches", 72

api = typer.Typer(help="Ask the analytics API; the key is filled in.", no_args_is_help=True)
_jobs = typer.Typer(help="Long queries as jobs: start one, list them, get the rows.", no_args_is_help=True)
api.add_typer(_jobs, name="job")


@api.command()
@with_tables
def health(*, where: Where) -> None:
    """Whether the API and its database answer. Exit code 1 when not."""
    answer = _client(where).get("/health/deep")
    _stop_at_errors(answer, where.json)
    if where.json:
        console.print_json(answer.body)
    else:
        console.print_table(HEALTH, [("ok", "ok", answer.body["milliseconds"])])


@api.command()
@on_stack
def openapi(*, where: Where) -> None:
    """The OpenAPI document, as JSON."""
    answer = _client(where).get("/openapi.json")
    _stop_at_errors(answer, True)
    console.print_json(answer.body)


@api.command()
@with_tables
def call(
    operation: Annotated[str, typer.Argument(help="Such as count_analysis; `sluice api operations` lists them.")],
    parameter: Parameters = None,
    key: Key = "",
    *,
    where: Where,
) -> None:
    """Ask a question. Exit code 1 when the API answers with an error, 2 when a parameter is not NAME=VALUE."""
    answer = _client(where, key).get("/analytics", operation=operation, **_parsed(parameter))
    _show(answer, where.json)


@api.command()
@with_tables
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT; a dataset is a table, as in `sluice query`.")],
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=1000, help="Rows at most.")] = 100,
    key: Key = "",
    *,
    where: Where,
) -> None:
    """Run a SELECT of your own (custom_query). Exit code 1 when it is rejected or fails."""
    _show(_client(where, key).ask("custom_query", sql=sql, limit=limit), where.json)


@api.command()
@with_tables
def operations(*, where: Where) -> None:
    """The operations and their parameters, as the API's own document has them."""
    document = _client(where).get("/openapi.json").body
    schemas = document["components"]["schemas"]
    found = []
    for mapped in schemas["Request"]["discriminator"]["mapping"].values():
        model = schemas[mapped.rsplit("/", 1)[-1]]
        parameters = schemas[model["properties"]["parameters"]["$ref"].rsplit("/", 1)[-1]]["properties"]
        found.append({"operation": model["properties"]["operation"]["const"], "about": model["description"],
                      "parameters": sorted(parameters)})  # fmt: skip
    if where.json:
        console.print_json(found)
        return
    rows = [(one["operation"], " ".join(one["about"].split()), ", ".join(one["parameters"])) for one in found]
    console.print_table(OPERATIONS, rows)


@_jobs.command("start")
@with_tables
def job_start(
    operation: Annotated[str, typer.Argument(help="As of `sluice api call`, or custom_query with -p sql=...")],
    parameter: Parameters = None,
    idempotency_key: Annotated[str, typer.Option("--id", help="The same question with the same id is one job.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit code 1 when it failed.")] = False,
    key: Key = "",
    *,
    where: Where,
) -> None:
    """Start a job; prints its id."""
    client = _client(where, key)
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
    parameters = {name: _number(value) for name, value in _parsed(parameter).items()}
    answer = client.post("/analytics/jobs", {"operation": operation, "parameters": parameters}, headers)
    _stop_at_errors(answer, where.json)
    if wait:
        answer = client.ended_job(answer.body["job"]["id"])
    _show_job(answer, where.json)


@_jobs.command("show")
@with_tables
def job_show(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended.")] = False,
    key: Key = "",
    *,
    where: Where,
) -> None:
    """A job, and its rows when they fit. Exit code 1 when it failed or is not there."""
    client = _client(where, key)
    _show_job(client.ended_job(job) if wait else client.get(f"/analytics/jobs/{job}"), where.json)


@_jobs.command("ls")
@with_tables
def job_list(
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=100, help="Jobs of a page.")] = 20,
    cursor: Annotated[str, typer.Option(help="The page after the one that gave this cursor.")] = "",
    key: Key = "",
    *,
    where: Where,
) -> None:
    """Jobs, newest first."""
    answer = _client(where, key).get("/analytics/jobs", limit=limit, cursor=cursor)
    _stop_at_errors(answer, where.json)
    if where.json:
        console.print_json(answer.body)
        return
    if not answer.body["jobs"]:
        console.note("no jobs")
        return
    console.print_table(JOBS, map(_job_row, answer.body["jobs"]))
    if answer.body["cursor"]:
        console.note(f"more: --cursor {answer.body['cursor']}")


@_jobs.command("download")
@on_stack
def job_download(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; else stdout.")] = None,
    key: Key = "",
    *,
    where: Where,
) -> None:
    """A job's rows, as a JSON array."""
    import sys

    client = _client(where, key)
    answer = client.get(f"/analytics/jobs/{job}/download")
    _stop_at_errors(answer, False)
    if output is None:
        client.download(answer, sys.stdout.buffer)
        return
    with output.open("wb") as file:
        client.download(answer, file)
    console.note(f"{answer.body['resultCount']} rows, {console.human_bytes(answer.body['bytes'])} in {output}")


def _show_job(answer: Answer, json: bool) -> None:
    _stop_at_errors(answer, json)
    job = answer.body["job"]
    if json:
        console.print_json(answer.body)
    else:
        console.print_table(JOBS, [_job_row(job)])
        if data := answer.body.get("data"):
            _print_rows(data)
        if "download" in answer.body:
            console.note(f"the rows: sluice api job download {job['id']} -o rows.json")
    if job["state"] == "failed":
        console.fail(f"{job['error']['type']}: {job['error']['message']}", 1)


def _job_row(job: dict[str, Any]) -> list[object]:
    times = ("createdAt", "finishedAt")
    return [console.ago(job.get(name)) if name in times else job.get(name) for name in _JOB_FIELDS]


def _print_rows(data: list[dict[str, Any]]) -> None:
    """Rows of an answer, whose columns only the answer knows; the API's JSON has numbers beyond a double as text."""
    from sluice.pipeline.sql_values import from_json, is_number, shown

    columns = list(data[0]) if data else ["(no rows)"]
    rows = [[from_json(value) for value in row.values()] for row in data]
    numeric = [place for place in range(len(columns)) if any(is_number(row[place]) for row in rows)]
    console.print_result(columns, [[shown(value) for value in row] for row in rows], numeric=numeric)


def _number(value: str) -> Any:
    """A parameter as JSON: a body, unlike a query string, must not have numbers and booleans as text."""
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.isascii() and value.isdigit() else value


def _client(where: Where, key: str = "") -> Client:
    from sluice.branches.api.client import Client

    return Client.of(where.stack, key)


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
    said = [part for part in answer.body.get("suggestions", []) if part != error["message"]]
    advice = "; ".join(said)
    console.fail(f"{answer.status} {error['type']}: {error['message']}{f' ({advice})' if advice else ''}", 1)


def _show(answer: Answer, json: bool) -> None:
    _stop_at_errors(answer, json)
    if json:
        console.print_json(answer.body)
        return
    data: list[dict[str, Any]] = answer.body["data"]
    _print_rows(data)
    metadata = answer.body["metadata"]
    more = ", more were left out" if metadata["truncated"] else ""
    cached = ", from the cache" if metadata["cacheHit"] else ""
    count = metadata["resultCount"]
    console.note(f"{count:,} row{'' if count == 1 else 's'}{more}, {answer.body['executionTime']:.1f} ms{cached}")
