"""The engine as a process: where it listens, how it ends, and that nothing of it stays."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine_harness import PYTHON, Engine, Function, eventually

BUSY = "import os, time\ndef handler(event, context):\n    time.sleep(event.get('sleep', 0))\n    return os.getpid()\n"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Engine]:
    """An engine for one test, killed at the end whatever happened."""
    engine = Engine(tmp_path)
    yield engine
    if engine.process.poll() is None:
        engine.process.kill()
        engine.process.wait()


def gone(pids: set[int]) -> bool:
    """Whether none of these processes runs any more."""
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_function_process_outlives_the_engine(own: Engine, how: signal.Signals) -> None:
    idle, busy = Function(own, BUSY), Function(own, BUSY, Timeout=60)
    idle.invoke()
    busy.send({"sleep": 50})
    pids = eventually(lambda: own.children() if len(own.children()) == 2 else set(), 10, "two function processes")
    took = own.stop(how)
    assert took < 10
    eventually(lambda: gone(pids), 5, "all function processes to end")


def test_the_engine_stops_while_clients_wait(own: Engine) -> None:
    url = own.client("sqs").create_queue(QueueName="waiting")["QueueUrl"]
    code = f"import boto3; boto3.client('sqs').receive_message(QueueUrl='{url}', WaitTimeSeconds=20)"
    keys = {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    waiting = subprocess.Popen(
        [PYTHON, "-c", code], env=os.environ | keys | {"AWS_ENDPOINT_URL": own.url}, stderr=subprocess.DEVNULL
    )
    try:
        assert own.stop() < 10
    finally:
        waiting.kill()
        waiting.wait()


def test_it_listens_on_the_loopback_address_only(engine: Engine) -> None:
    listening = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        address, port = local.split(":")
        if state == "0A" and int(port, 16) == engine.port:
            listening.append(address)
    assert listening == ["0100007F"]


def test_a_taken_port_is_a_clear_error(engine: Engine, tmp_path: Path) -> None:
    environment = os.environ | {"GATEWAY_LISTEN": f"127.0.0.1:{engine.port}", "FILESYSTEM_ROOT": str(tmp_path)}
    second = subprocess.run(
        [PYTHON, "-m", "sluice_ext.main"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode != 0
    assert "Address already in use" in second.stdout + second.stderr


def test_everything_it_writes_lies_in_its_folder(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    try:
        code = "import os\ndef handler(event, context):\n    return os.getpid()\n"
        pid = Function(engine, code).invoke()["payload"]
        # The folders that are its /tmp and /var/task.
        folders = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[4:6]
        assert all(folder.startswith(str(tmp_path)) for folder in folders)
    finally:
        engine.stop()
    assert not list((tmp_path / "localstack" / "tmp" / "lambda" / "env").glob("*"))


def test_a_small_request_after_a_large_one_on_one_connection(engine: Engine) -> None:
    with socket.create_connection(("127.0.0.1", engine.port)) as client:
        body = b"x" * 3_000_000
        head = f"PUT /no-such-bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body + b"GET /_sluice/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b'"status": "running"' in answer


def test_objects_lie_in_the_engine_s_own_folder(own: Engine) -> None:
    """Not in one below /tmp that every engine of the machine would share, and clear when a bucket is deleted."""
    s3 = own.client("s3")
    s3.create_bucket(Bucket="placed")
    s3.put_object(Bucket="placed", Key="large", Body=b"x" * (2 << 20))
    open_files = [str(link.readlink()) for link in Path(f"/proc/{own.process.pid}/fd").iterdir()]
    assert [name for name in open_files if "/placed/" in name]
    assert all(name.startswith(str(own.log.parent)) for name in open_files if "/placed/" in name)
