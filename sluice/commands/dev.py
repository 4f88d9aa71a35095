"""`sluice dev`: puts saved changes of lambdas/ and datasets/ into service on the engine, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice import console

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sluice.pipeline.serving import Serving
    from sluice.pipeline.watching import Snapshot

PANEL, ORDER = "Deployment", 23

POLL_SECONDS = 0.5  # a look takes 3 ms: under one per cent of a core
SETTLED_SECONDS = 0.1  # a change counts when nothing else was saved for so long
RETRY_SECONDS = 2.0  # while the engine does not answer


def dev() -> None:
    """Watch lambdas/ and datasets/ and serve each saved change on the engine; Ctrl-C ends it and updates the state."""
    from sluice.commands._deployment import place_of
    from sluice.engine.instance import Instance
    from sluice.options import LOCAL
    from sluice.pipeline.serving import Serving
    from sluice.pipeline.stack import Stack

    place = place_of(LOCAL, "dev")
    assert isinstance(place, Instance)
    session = _Session(lambda: Serving.of(Stack.load(place), place))
    try:
        session.run()
    except KeyboardInterrupt:
        session.end()


class _Session:
    """What was last seen, and what was last said: a line is not repeated while nothing changes."""

    def __init__(self, reach: Callable[[], Serving]) -> None:
        """reach: asks the engine what is deployed and in service."""
        from sluice.pipeline.watching import Syntax

        self._reach = reach
        self._serving = reach()
        self._syntax = Syntax()
        self._said = ""

    def run(self) -> None:
        """Looks, and serves what changed, without an end."""
        import time

        from sluice.pipeline.watching import difference

        seen = self._look()
        self._syntax.check(difference({}, seen))
        done = self._serve(seen)
        console.note("dev     watching lambdas/ and datasets/; Ctrl-C ends it")
        while True:
            time.sleep(POLL_SECONDS if done else RETRY_SECONDS)
            found = self._look()
            if found == seen and done:
                continue
            while (later := self._after_a_moment()) != found:
                found = later
            changed, seen = difference(seen, found), found
            if changed:
                self._said = ""
                self._say_what_needs_deploy(changed)
                self._syntax.check(changed)
            before, done = done, (done or self._reached()) and self._serve(seen)
            if done and not before:
                self._said = ""
                console.note("dev     the engine serves again")

    def end(self) -> None:
        """Brings Terraform's state up to date. A second Ctrl-C leaves that to `sluice deploy`."""
        from botocore.exceptions import BotoCoreError, ClientError

        if not self._serving.ahead:
            return
        console.note(f"dev     updating the state: {', '.join(sorted(self._serving.ahead))}")
        try:
            self._serving.settle()
        except (KeyboardInterrupt, console.SluiceError, BotoCoreError, ClientError) as error:
            why = f": {error}" if str(error) else ""
            console.fail(f"the state is not up to date, `sluice deploy` makes it so{why}", console.FAILED)
        console.note("dev     the plan is empty again")

    def _reached(self) -> bool:
        """After the engine did not answer: it may have another port by now, and hold an earlier state."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._serving = self._reach()
        except (BotoCoreError, ClientError):
            return False
        except console.SluiceError as error:
            self._say(f"dev     {error}; trying again")
            return False
        return True

    def _serve(self, seen: Snapshot) -> bool:
        """Puts into service what can be. Returns whether the engine answered; a wrong file waits for its next save."""
        from botocore.exceptions import BotoCoreError, ClientError

        self._syntax_lines()
        try:
            for only in self._buildable():
                self._serve_group(only, seen)
        except (BotoCoreError, ClientError) as error:
            self._say(f"dev     the engine does not serve it: {error}; trying again (`sluice status`)")
            return False
        return True

    def _serve_group(self, only: list[str], seen: Snapshot) -> None:
        """One group of artifacts, built together: the functions, or the datasets."""
        import time

        from sluice import build

        began = time.monotonic()
        try:
            manifest = build.build(only=only, layers=False)
            if self._look() != seen:  # half of a change may have been built: the next look shows all of it
                return
            wanted = [one for one in self._serving.outdated(manifest) if one in only]
            said = self._serving.serve(manifest, wanted) if wanted else []
        except console.SluiceError as error:
            self._say(f"dev     {error}; what was in service stays")
            return
        except (SyntaxError, ValueError, OSError) as error:
            if self._look() == seen:  # else saved or deleted while it was read: the next look shows it
                self._say(f"dev     {error}; what was in service stays")
            return
        if said:
            console.note(f"dev     {', '.join(said)} in service ({time.monotonic() - began:.1f} s)")

    def _buildable(self) -> list[list[str]]:
        from sluice.build.artifacts import DATASETS

        code = [] if self._syntax.broken else [sorted(self._serving.names)]
        return [*code, [DATASETS]]

    def _syntax_lines(self) -> None:
        from sluice.paths import ROOT

        for path, reason in sorted(self._syntax.broken.items()):
            self._say(f"dev     {path.relative_to(ROOT)}: {reason}; the code in service stays")

    def _say_what_needs_deploy(self, changed: set[Path]) -> None:
        from sluice.paths import DATASETS_DIR, LAMBDAS_DIR, ROOT
        from sluice.pipeline.watching import touched

        for path in touched(changed, LAMBDAS_DIR, DATASETS_DIR).needs_deploy:
            console.note(f"dev     {path.relative_to(ROOT)} changed: `sluice deploy` puts it into service")

    def _say(self, line: str) -> None:
        """Unless it was the last line."""
        if line != self._said:
            self._said = line
            console.note(line)

    def _look(self) -> Snapshot:
        from sluice.paths import DATASETS_DIR, LAMBDAS_DIR
        from sluice.pipeline.watching import snapshot

        return snapshot([LAMBDAS_DIR, DATASETS_DIR])

    def _after_a_moment(self) -> Snapshot:
        import time

        time.sleep(SETTLED_SECONDS)
        return self._look()
