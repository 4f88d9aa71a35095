"""`sluice dlq`: ls, show, redrive, purge."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Env, Json, Target

if TYPE_CHECKING:
    from sluice.ops.dead_letters import DeadLetters, Redriven
    from sluice.ops.letters import Letter

Queue = Annotated[
    str, typer.Option("--queue", "-q", metavar="chunks|ingest|loads|feedback", help="Only this one (else all).")
]
Which = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WHICH]...", help="Message ids or object ids (or their beginnings), keys, prefix/."),
]
All = Annotated[bool, typer.Option("--all", help="Every letter of the queue, or of all.")]

COLUMNS = ("queue", "message", "object", "reason", "receives", "age")
_REASON = 100  # characters of a reason in the table; show has all of it

dlq = typer.Typer(help="Dead letters of both queues: look at them, deliver them again, remove them.",
                  no_args_is_help=True)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Adds the verbs of this module."""
    app.add_typer(dlq, name="dlq", rich_help_panel="Operations")


@dlq.command()
def ls(
    queue: Queue = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many of each queue.")] = 100,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """List the dead letters, oldest first: what they are about, why they died, how old they are."""
    from sluice.ops.dead_letters import describe

    _check(queue)
    letters = _open(target, env)
    names = _queues(queue, letters)
    counts = {name: letters.count(name) for name in names}
    found = letters.with_reasons([letter for name in names for letter in letters.look(name, limit)])
    if json:
        console.print_json({"counts": counts, "letters": [describe(letter) for letter in found]})
        return
    if found:
        console.print_table(COLUMNS, [_row(letter) for letter in found], right=("receives", "age"), short=("reason",))
    for name, count in counts.items():
        shown = sum(1 for letter in found if letter.queue == name)
        hidden = f", {count - shown} not shown (--limit, or hidden for a moment)" if count > shown else ""
        console.note(f"{name:<7} {_letters(count)}{hidden}")


@dlq.command()
def show(
    which: Annotated[str, typer.Argument(metavar="WHICH", help="Message id, object id (or beginnings), or key.")],
    queue: Queue = "",
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Show a dead letter with what the ledger says of its object; exit code 1 when there is none."""
    from sluice.data.ledger import LedgerView
    from sluice.ops.dead_letters import describe
    from sluice.stack import choose

    _check(queue)
    stack = choose(target, env)
    letters = _open(target, env)
    found = letters.with_reasons(letters.find(_queues(queue, letters), which))
    if not found:
        console.fail(f"no dead letter is named {which!r}; `sluice dlq ls` lists them", console.FAILED)
    ledger = LedgerView(stack.client("dynamodb"), stack["ledger_table"])
    items = ledger.objects({letter.object_id for letter in found if letter.object_id})
    entries = [items.get(letter.object_id or "") for letter in found]
    if json:
        console.print_json([
            describe(letter) | {"body": letter.body, "ledger": item}
            for letter, item in zip(found, entries, strict=True)
        ])  # fmt: skip
        return
    for letter, item in zip(found, entries, strict=True):
        _show(letter, item)


@dlq.command()
def redrive(
    which: Which = None,
    all_: All = False,
    queue: Queue = "",
    rate: Annotated[int | None, typer.Option("--rate", min=1, max=500, help="Messages a second at most.")] = None,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Deliver dead letters again and wait until they are moved; exit code 1 when some stay."""
    _check(queue)
    chosen, letters = _selection(which, all_), _open(target, env)
    names = _queues(queue, letters)
    done = [letters.redrive(name, chosen, rate) if which else letters.redrive_all(name, rate) for name in names]
    if which and not any(result.moved or result.left for result in done):
        console.fail(f"no dead letter is named {' or '.join(which)}; `sluice dlq ls` lists them", console.FAILED)
    if json:
        console.print_json([_outcome(result) for result in done])
    else:
        for result in done:
            _tell(result)
        if any(result.moved for result in done):
            console.note("watch what becomes of them: sluice runs, sluice dlq ls")
    raise typer.Exit(console.FAILED if any(result.left for result in done) else console.OK)


@dlq.command()
def purge(
    which: Which = None,
    all_: All = False,
    queue: Queue = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Remove dead letters for good, after asking; prints how many. Their objects stay in bronze and in the ledger."""
    _check(queue)
    chosen, letters = _selection(which, all_), _open(target, env)
    names = _queues(queue, letters)
    if which:
        counts = {name: sum(1 for letter in letters.look(name, 10_000) if chosen(letter)) for name in names}
    else:
        counts = {name: letters.count(name) for name in names}
    text = ", ".join(f"{_letters(count)} in {name}" for name, count in counts.items())
    if not yes and any(counts.values()):
        if not sys.stdin.isatty():
            console.fail(f"purge removes {text}: say --yes where nobody can be asked")
        typer.confirm(f"Remove {text} for good?", abort=True, err=True)
    removed = {
        name: (letters.purge(name, chosen) if which else letters.purge_all(name)) if count else 0
        for name, count in counts.items()
    }
    if json:
        console.print_json(removed)
    else:
        for name, count in removed.items():
            console.note(f"{name:<7} {_letters(count)} removed")
    if which and not any(removed.values()):
        console.fail(f"no dead letter is named {' or '.join(which)}; `sluice dlq ls` lists them", console.FAILED)


def _show(letter: Letter, item: dict[str, Any] | None) -> None:
    from json import dumps, loads

    age = letter.age()
    console.print_facts({
        "message": letter.message_id, "queue": letter.queue, "what": letter.kind, "reason": letter.reason,
        "object": letter.key, "object id": letter.object_id, "chunk": letter.chunk, "receives": letter.receives,
        "age": None if age is None else console.human_seconds(age),
    })  # fmt: skip
    if item:
        names = ("state", "failed_reason", "error", "run", "chunks_done", "chunk_count", "rows_in", "updated_at")
        console.print_facts({name: item[name] for name in names if name in item}, title="\nledger")
    try:
        text = dumps(loads(letter.body), indent=2, ensure_ascii=False)
    except ValueError:
        text = letter.body
    console.stdout().print("\n[bold]body[/bold]")
    console.stdout().print(text, markup=False)
    if letter.repairable:
        console.note(f"deliver it again: sluice dlq redrive {letter.message_id[:8]}")
    else:
        console.note(f"nothing can work it; remove it: sluice dlq purge {letter.message_id[:8]}")


def _row(letter: Letter) -> list[object]:
    name = letter.key or "-"
    age = letter.age()
    reason = " ".join(letter.reason.split())
    return [
        letter.queue,
        letter.message_id[:8],
        f"{name} (chunk {letter.chunk})" if letter.chunk else name,
        reason if len(reason) <= _REASON else reason[: _REASON - 1] + "…",
        letter.receives,
        None if age is None else console.human_seconds(age),
    ]


def _tell(result: Redriven) -> None:
    console.note(
        f"{result.queue:<7} {result.before} before, {result.moved} delivered again, {result.after} now in the queue"
    )
    for letter, why in result.left:
        console.note(f"  stays: {letter.message_id[:8]} {why}")


def _outcome(result: Redriven) -> dict[str, Any]:
    left = [{"message_id": letter.message_id, "why": why} for letter, why in result.left]
    return {"queue": result.queue, "before": result.before, "moved": result.moved, "after": result.after, "left": left}


def _letters(count: int) -> str:
    return f"{count:,} letter{'' if count == 1 else 's'}"


def _selection(which: Sequence[str] | None, all_: bool) -> Callable[[Letter], bool]:
    if bool(which) == all_:
        console.fail("say which letters: message ids, object ids or keys, or --all")
    return lambda letter: any(letter.named_by(word) for word in which or ())


def _check(queue: str) -> None:
    from sluice.ops.dead_letters import QUEUES

    if queue and queue not in QUEUES:
        console.fail(f"there is no queue {queue!r}: {', '.join(QUEUES)}")


def _queues(queue: str, letters: DeadLetters) -> list[str]:
    if queue and queue not in letters.names:
        console.fail(f"the stack has no queue {queue!r}: its branch is off", console.FAILED)
    return [queue] if queue else letters.names


def _open(target: str, env: str) -> DeadLetters:
    from sluice.ops.dead_letters import DeadLetters
    from sluice.stack import choose

    return DeadLetters(choose(target, env))
