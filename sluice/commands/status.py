"""`sluice status`: engine and pipeline on one screen, once or watched."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Env, Json, Target, Wide, environment, is_local
from sluice.polling import every

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sluice.engine import EngineStatus
    from sluice.pipeline.overview import Collector


PANEL, ORDER = "Engine", 14


def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Refresh until ctrl-C.")] = False,
    interval: Annotated[float | None, typer.Option(min=0.5, help="Seconds between two looks of --watch (2).")] = None,
    target: Target = "local",
    env: Env = None,
    json: Json = False,
    wide: Wide = False,
) -> None:
    """Show engine, objects, queues, quarantine, failures and rates. Exit code 1 when nothing runs."""
    console.set_wide(wide)
    if watch and json:
        console.fail("--watch is for people: leave out --json, or call status again and again")
    if interval and not watch:
        console.fail("--interval is for --watch")
    view = View(target, environment(target, env))
    if watch:
        _watch(view, interval or 2.0)
        return
    if json:
        facts, code = view.facts()
        console.print_json(facts)
    else:
        with console.progress() as bar:
            bar.add_task("looking", total=None)
            shown, code = view.screen()
        if shown is not None:
            console.stdout().print(shown)
        for line in view.remarks:
            console.note(line)
    raise typer.Exit(code)


class View:
    """Looks at engine and pipeline; what it stores makes the next look cheaper."""

    def __init__(self, target: str, env: str) -> None:
        self._env = None if is_local(target) else env
        self._collector: Collector | None = None
        self.remarks: list[str] = []

    def screen(self) -> tuple[RenderableType | None, int]:
        """What to show, and the exit code; `remarks` say what is missing."""
        from rich.console import Group

        from sluice.commands import _status_screen as screen

        self.remarks = []
        parts: list[RenderableType] = []
        engine = self._engine()
        if engine is not None:
            if not engine.running:
                self.remarks = ["engine  nothing runs: start it with `make up`"]
                return None, console.FAILED
            parts.append(screen.engine_part(engine))
        collector = self._pipeline(engine)
        if collector is not None:
            parts.append(screen.pipeline_part(collector.collect()))
        return Group(*parts) if parts else None, self._code(engine, collector)

    def facts(self) -> tuple[dict[str, Any], int]:
        """The same as JSON: the engine's facts, and the pipeline's under ``pipeline`` (null where there is none)."""
        from dataclasses import asdict

        engine = self._engine()
        collector = self._pipeline(engine)
        facts = {} if engine is None else asdict(engine)
        pipeline = collector.collect().to_dict() if collector else None
        return facts | {"pipeline": pipeline}, self._code(engine, collector)

    def _engine(self) -> EngineStatus | None:
        if self._env is not None:
            return None
        from sluice import engine
        from sluice.engine.instance import Instance

        return engine.status(Instance.default())

    def _pipeline(self, engine: EngineStatus | None) -> Collector | None:
        """None when the engine does not answer, or nothing is deployed."""
        if engine is not None and not (engine.running and engine.healthy):
            return None
        if self._collector is None:
            from sluice.pipeline.overview import Collector
            from sluice.pipeline.stack import Stack

            stack = Stack.load(env=self._env)
            if not stack.outputs.get("ledger_table"):
                where = "" if self._env is None else f" to {self._env}"
                self.remarks.append(f"nothing is deployed{where}: `make deploy` does it")
                return None
            self._collector = Collector(stack)
        return self._collector

    def _code(self, engine: EngineStatus | None, collector: Collector | None) -> int:
        if engine is None:
            return console.OK if collector else console.FAILED
        return console.OK if engine.running and engine.healthy else console.FAILED


def _watch(view: View, interval: float) -> None:
    from rich.live import Live
    from rich.text import Text

    out = console.stdout()
    try:
        with Live(Text("looking ..."), console=out, screen=sys.stdout.isatty(), auto_refresh=False) as live:
            for _ in every(interval):
                shown, _code = view.screen()
                live.update(shown if shown is not None else Text("\n".join(view.remarks)), refresh=True)
    except KeyboardInterrupt:
        return
