"""Run parts of LocalStack's own test suite on plain LocalStack and on the engine, and compare.

    .sluice/host/bin/python -m tests.localstack_suite.run SUITE PYTHON RESULTS plain|ours FILE...

SUITE: a checkout of the suite; PYTHON: an interpreter with LocalStack and what its tests import; RESULTS: a JSON file;
FILE: test files below tests/aws/services, with options of pytest. docs/engine.md says how to get them.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import engine_harness
from tests.support.engine_harness import Engine

INSIDE = Path(__file__).parent / "inside"
# LocalStack's names for hosts on both sides, so that their URLs are alike; no network.
HOSTS = {"SQS_ENDPOINT_STRATEGY": "standard", "LOCALSTACK_HOST": "localhost.localstack.cloud"}
QUIET = {"DNS_ADDRESS": "0", "SKIP_SSL_CERT_DOWNLOAD": "1", "DISABLE_EVENTS": "1", "LS_LOG": "warn"}


def start(which: str, python: str, home: Path) -> Engine:
    """Plain LocalStack, or ours."""
    common = {"PYTHONPATH": str(INSIDE), "LAMBDA_RETRY_BASE_DELAY": "1"} | HOSTS | QUIET
    if which == "plain":
        engine_harness.PYTHON = python
        return Engine(home, module="localstack.runtime.main", **common)
    return Engine(home, SLUICE_FAULTS="1", SLUICE_METRIC_SECONDS="1", SLUICE_ALARM_SECONDS="1", **common)


def main() -> int:
    suite, python, results, which, *chosen = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a run that is stopped ends its engine, too
    with tempfile.TemporaryDirectory(prefix="suite-") as folder:
        engine = start(which, python, Path(folder))
        environment = (
            os.environ
            | HOSTS
            | QUIET
            | {
                "PYTHONPATH": f"{suite}:{INSIDE}",
                "TEST_SKIP_LOCALSTACK_START": "1",
                "GATEWAY_LISTEN": f"127.0.0.1:{engine.port}",
                "LOCALSTACK_HOST": f"localhost.localstack.cloud:{engine.port}",
                "SUITE_PORT": str(engine.port),
                "SUITE_RESULTS": str(Path(results).resolve()),
                "PYTHONDONTWRITEBYTECODE": "1",
            }
        )
        environment.pop("AWS_ENDPOINT_URL", None)
        services = Path("tests/aws/services")
        command = [python, "-m", "pytest", "-q", "--timeout", "60", "-p", "suite_record", "-p", "no:cacheprovider"]
        command += ["-p", "no:logging", "--tb=short", "--no-header", "-r", "fE", "--durations=12"]
        command += [one if one.startswith("-") else str(services / one) for one in chosen]
        try:
            done = subprocess.run(command, cwd=suite, env=environment).returncode
        finally:
            engine.process.send_signal(signal.SIGTERM)
            try:
                engine.process.wait(15)
            except subprocess.TimeoutExpired:
                engine.process.kill()
            (Path(results).with_suffix(".log")).write_bytes(engine.log.read_bytes())
    return done


if __name__ == "__main__":
    sys.exit(main())
