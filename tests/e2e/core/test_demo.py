"""The demo, as `make demo` runs it, on the session's stack: its own checks decide, and its output is read here."""

from __future__ import annotations

import json
import os
import subprocess

from sluice.engine.instance import Instance
from sluice.paths import ROOT
from tests.support.pipeline import Pipeline


def test_the_demo_accounts_for_every_row(pipe: Pipeline, instance: Instance) -> None:
    done = subprocess.run(
        [".sluice/host/bin/sluice", "demo", "--skip-deploy", "--json"],
        cwd=ROOT,
        env=os.environ | {"SLUICE_HOME": str(instance.home)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["ok"] is True
    assert all(check["ok"] for check in report["checks"])
    assert len(report["checks"]) > 5
    [message] = pipe.receive_messages(
        "ingest_dlq_url", lambda text: "/demo-" in text
    )  # the poison object, left on purpose
    assert json.loads(message["body"])["reason"] == "unreadable"
