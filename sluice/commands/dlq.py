"""`sluice dlq`: ls, show, redrive, purge."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Where, on_stack, with_tables
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.pipeline.dead_letters import DeadLetters, Redriven
    from sluice.pipeline.message_formats import DeadLetterMessage

PANEL, ORDER = "Operations", 41

Queue = Annotated[
    str, typer.Option("--queue", "-q", metavar="NAME", help="Only this queue, as `dlq ls` names it (else all).")
]
Which = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WHICH]...", help="Message ids or object ids (or their beginnings), keys, prefix/."),
]
All = Annotated[bool, typer.Option("--all", help="Every message of the queue, or of all.")]

MESSAGES = layout("queue", "message", "object:key", "reason:text", "receives:number?1", "age:number")
_EVERY = 10_000

dlq = typer.Typer(help="Dead-letter messages of every queue: look at them, redrive them, remove them.",
                  no_args_is_help=True)  # fmt: skip


@dlq.command()
@with_tables
def ls(
    queue: Queue = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many of each queue.")] = 100,
    *,
    where: Where,
) -> None:
    """List the dead-letter messages, oldest first: what they are about, why they failed, how old they are."""
    from sluice.pipeline.dead_letters import describe

    dead, names = _open(where, queue)
    counts = {name: dead.count(name) for name in names}
    found = dead.with_reasons([message for name in names for message in dead.look(name, limit)])
    if where.json:
        messages = [describe(message) for message in found]
        # The field was called `letters` before 0.2.
        console.print_json({"counts": counts, "messages": messages, "letters": messages})
        return
    if found:
        console.print_table(MESSAGES, map(_row, found))
    for name, count in counts.items():
        shown = sum(1 for message in found if message.queue == name)
        hidden = f", {count - shown} not shown (--limit, or hidden for a moment)" if count > shown else ""
        console.note(f"{name:<7} {_messages(count)}{hidden}")


@dlq.command()
@on_stack
def show(
    which: Annotated[str, typer.Argument(metavar="WHICH", help="Message id, object id (or beginnings), or key.")],
    queue: Queue = "",
    *,
    where: Where,
) -> None:
    """Show a dead-letter message with what the ledger says of its object; exit code 1 when there is none."""
    from sluice.pipeline.dead_letters import describe
    from sluice.pipeline.ledger import LedgerView

    dead, names = _open(where, queue)
    found = dead.with_reasons(dead.find(names, which))
    if not found:
        console.fail(_unknown([which]), console.FAILED)
    items = LedgerView.of(where.stack).objects({message.object_id for message in found if message.object_id})
    entries = [items.get(message.object_id or "") for message in found]
    if where.json:
        console.print_json([
            describe(message) | {"body": message.body, "ledger": item}
            for message, item in zip(found, entries, strict=True)
        ])  # fmt: skip
        return
    for message, item in zip(found, entries, strict=True):
        _show(message, item)


@dlq.command()
@on_stack
def redrive(
    which: Which = None,
    all_: All = False,
    queue: Queue = "",
    rate: Annotated[int | None, typer.Option("--rate", min=1, max=500, help="Messages a second at most.")] = None,
    *,
    where: Where,
) -> None:
    """Redeliver dead-letter messages and wait until they are moved; exit code 1 when some stay."""
    chosen = _selection(which, all_)
    dead, names = _open(where, queue)
    done = [dead.redrive(name, chosen, rate) if which else dead.redrive_all(name, rate) for name in names]
    if which:
        done = [result for result in done if result.moved or result.left]  # the queues of these messages
        if not done:
            console.fail(_unknown(which), console.FAILED)
    if where.json:
        console.print_json([_outcome(result) for result in done])
    else:
        for result in done:
            _report(result)
        if any(result.moved for result in done):
            console.note("see what becomes of them: sluice runs, sluice dlq ls")
    raise typer.Exit(console.FAILED if any(result.left for result in done) else console.OK)


@dlq.command()
@on_stack
def purge(
    which: Which = None,
    all_: All = False,
    queue: Queue = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    *,
    where: Where,
) -> None:
    """Remove dead-letter messages for good, after asking; prints how many.

    Their objects stay in bronze and in the ledger.
    """
    chosen = _selection(which, all_)
    dead, names = _open(where, queue)
    if which:
        counts = {name: sum(1 for message in dead.look(name, _EVERY) if chosen(message)) for name in names}
    else:
        counts = {name: dead.count(name) for name in names}
    text = ", ".join(f"{_messages(count)} in {name}" for name, count in counts.items())
    if not yes and any(counts.values()):
        if not sys.stdin.isatty():
            console.fail(f"purge removes {text}: say --yes where there is no terminal to ask on")
        typer.confirm(f"Remove {text} for good?", abort=True, err=True)
    removed = {
        name: (dead.purge(name, chosen) if which else dead.purge_all(name)) if count else 0
        for name, count in counts.items()
    }
    if where.json:
        console.print_json(removed)
    else:
        for name, count in removed.items():
            if which and not count:
                continue
            console.note(f"{name:<7} {_messages(count)} removed")
    if which and not any(removed.values()):
        console.fail(_unknown(which), console.FAILED)


def _show(message: DeadLetterMessage, item: dict[str, Any] | None) -> None:
    from json import dumps, loads

    age = message.age()
    console.print_facts({
        "message": message.message_id, "queue": message.queue, "what": message.kind, "reason": message.reason,
        "object": message.key, "object id": message.object_id, "chunk": message.chunk, "receives": message.receives,
        "age": None if age is None else console.human_seconds(age),
    })  # fmt: skip
    if item:
        names = ("state", "failed_reason", "error", "run", "chunks_done", "chunk_count", "rows_in", "updated_at")
        console.print_facts({name: item[name] for name in names if name in item}, title="\nledger")
    try:
        text = dumps(loads(message.body), indent=2, ensure_ascii=False)
    except ValueError:
        text = message.body
    console.stdout().print("\n[bold]body[/bold]")
    console.stdout().print(text, markup=False)
    if message.repairable:
        console.note(f"redeliver it: sluice dlq redrive {message.message_id[:8]}")
    else:
        console.note(f"no function can process it; remove it: sluice dlq purge {message.message_id[:8]}")


def _row(message: DeadLetterMessage) -> list[object]:
    name = message.key or "-"
    age = message.age()
    return [
        message.queue,
        message.message_id[:8],
        f"{name} (chunk {message.chunk})" if message.chunk else name,
        " ".join(message.reason.split()),
        message.receives,
        None if age is None else console.human_seconds(age),
    ]


def _report(result: Redriven) -> None:
    console.note(
        f"{result.queue:<7} {result.before} before, {result.moved} redelivered, {result.after} now in the queue"
    )
    for message, why in result.left:
        console.note(f"  stays: {message.message_id[:8]} {why}")


def _outcome(result: Redriven) -> dict[str, Any]:
    left = [{"message_id": message.message_id, "why": why} for message, why in result.left]
    return {"queue": result.queue, "before": result.before, "moved": result.moved, "after": result.after, "left": left}


def _messages(count: int) -> str:
    return f"{count:,} message{'' if count == 1 else 's'}"


def _unknown(which: Sequence[str]) -> str:
    return f"no dead-letter message is named {' or '.join(which)}; `sluice dlq ls` lists them"


def _selection(which: Sequence[str] | None, all_: bool) -> Callable[[DeadLetterMessage], bool]:
    if bool(which) == all_:
        console.fail("say which messages: message ids, object ids or keys, or --all")
    return lambda message: any(message.named_by(word) for word in which or ())


def _open(where: Where, queue: str) -> tuple[DeadLetters, list[str]]:
    """The dead-letter queues, and the keys of those that --queue asks for: one, or all."""
    from sluice.names import require
    from sluice.pipeline.dead_letters import DeadLetters

    dead = DeadLetters(where.stack)
    if queue:
        require("queue", queue, dead.names)
    return dead, [queue] if queue else dead.names
