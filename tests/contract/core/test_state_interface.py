"""Saving under load, holding, and what is refused."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine_harness import ROOT, Function, Queue, eventually
from tests.support.state_keeper import Keeper

COUNTER = """
import boto3, os
dynamodb = boto3.client("dynamodb")
sqs = boto3.client("sqs")
def handler(event, context):
    for record in event["Records"]:
        dynamodb.put_item(TableName="done", Item={"pk": {"S": record["body"]}})
        sqs.send_message(QueueUrl=os.environ["OUT"], MessageBody=record["body"])
"""


def _fails(keeper: Keeper, route: str, method: str = "POST", **body: Any) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as error:
        keeper.call(route, method, **body)
    return error.value.code, json.load(error.value)["error"]


def _refused(keeper: Keeper) -> str:
    """What an engine says that is started from the state and ends at once."""
    keeper.engine.stop(signal.SIGKILL)
    with pytest.raises(pytest.fail.Exception) as failed:
        keeper.engine = keeper.start(SLUICE_STATE=str(keeper.folder))
    return str(failed.value)


def test_a_save_under_load_loses_and_doubles_nothing(keeper: Keeper) -> None:
    keeper.client("dynamodb").create_table(
        TableName="done",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    source, out = Queue(keeper.engine, VisibilityTimeout="20"), Queue(keeper.engine)
    function = Function(keeper.engine, COUNTER, Timeout=20, variables={"OUT": out.url})
    keeper.client("lambda").create_event_source_mapping(
        EventSourceArn=source.arn, FunctionName=function.name, BatchSize=2
    )
    sent: list[str] = []
    stop = threading.Event()

    def send() -> None:
        sqs = keeper.client("sqs")
        while not stop.is_set():
            sqs.send_message(QueueUrl=source.url, MessageBody=f"m{len(sent)}")
            sent.append(f"m{len(sent)}")

    sender = threading.Thread(target=send)
    sender.start()
    eventually(lambda: len(sent) > 20 and out.depth()[0] > 4, 60, "load")
    before = len(sent)
    saved = keeper.save(drain_seconds=20)
    assert saved["interrupted"] == []
    at_least, at_most = before, len(sent) + 1
    eventually(lambda: len(sent) > at_most + 5, 30, "calls to go on after the save")
    stop.set()
    sender.join()

    keeper.restart()
    sqs, dynamodb = keeper.client("sqs"), keeper.client("dynamodb")
    url = sqs.get_queue_url(QueueName=source.name)["QueueUrl"]

    def waiting() -> int:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])

    eventually(lambda: waiting() == 0, 90, "the mapping to deliver the rest")
    rows = {i["pk"]["S"] for page in dynamodb.get_paginator("scan").paginate(TableName="done") for i in page["Items"]}
    assert rows == {f"m{n}" for n in range(len(rows))}
    assert at_least <= len(rows) <= at_most
    out_url = sqs.get_queue_url(QueueName=out.name)["QueueUrl"]
    bodies: list[str] = []
    while found := sqs.receive_message(QueueUrl=out_url, MaxNumberOfMessages=10).get("Messages", []):
        bodies += [message["Body"] for message in found]
    # Every message was handled once: none was in the middle of it when the state was copied.
    assert sorted(bodies) == sorted(rows)


def test_a_hold_makes_calls_wait_and_ends_by_itself(keeper: Keeper, tmp_path: Path) -> None:
    queue = Queue(keeper.engine)
    keeper.call("hold", drain_seconds=1, seconds=60)
    assert keeper.call("info", "GET")["paused"] is True
    answered: list[float] = []

    def send() -> None:
        queue.send("during")
        answered.append(time.monotonic())

    caller = threading.Thread(target=send)
    caller.start()
    caller.join(1)
    assert caller.is_alive()
    assert "held already" in _fails(keeper, "hold", drain_seconds=0)[1]
    dump = tmp_path / "dump"
    dump.write_bytes(b"rows of PostgreSQL")
    assert set(keeper.save(attach={"postgres": str(dump)})["attached"]) == {"postgres"}
    released = time.monotonic()
    assert keeper.call("release", x=1) == {"released": True}
    caller.join(10)
    assert answered
    assert answered[0] > released
    info = keeper.call(f"info?folder={keeper.folder}", "GET")
    assert Path(info["attached"]["postgres"]).read_bytes() == b"rows of PostgreSQL"

    keeper.call("hold", drain_seconds=0, seconds=1)
    queue.send("after the time is over")
    assert keeper.call("release", x=1) == {"released": False}
    # The message that was sent during the hold is not in the state.
    keeper.restart()
    assert keeper.call("info", "GET")["restored"]["services"] == ["sqs"]
    sqs = keeper.client("sqs")
    url = sqs.get_queue_url(QueueName=queue.name)["QueueUrl"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    # A state is loaded only by an engine that has done nothing.
    code, text = _fails(keeper, "load", folder=str(keeper.folder))
    assert (code, "has been used" in text) == (409, True)


def test_a_hold_stores_objects_before_calls_wait(keeper: Keeper) -> None:
    s3, body = keeper.client("s3"), os.urandom(1 << 16)
    s3.create_bucket(Bucket="early")
    s3.put_object(Bucket="early", Key="k", Body=body)
    objects = keeper.folder.parent / "objects"
    keeper.call("hold", seconds=30, objects=str(objects))
    digest = hashlib.sha256(body).hexdigest()
    assert (objects / digest[:2] / digest).read_bytes() == body
    assert keeper.save()["objects"] == 1
    assert keeper.call("release") == {"released": True}
    assert _fails(keeper, "hold", objects="relative")[0] == 400


def test_wrong_requests_are_answered(keeper: Keeper, tmp_path: Path) -> None:
    assert _fails(keeper, "save", folder="relative")[0] == 400
    assert _fails(keeper, "save", x=1)[0] == 400
    code, text = _fails(keeper, "load", folder=str(tmp_path / "nothing"))
    assert (code, "there is no state" in text) == (404, True)
    (tmp_path / "file").write_text("")
    code, text = _fails(keeper, "save", folder=str(tmp_path / "file" / "below" / "it"))
    assert (code, "was not saved" in text) == (507, True)
    # After an error the engine goes on.
    keeper.client("sqs").list_queues()


def test_states_that_do_not_fit_are_refused_by_name(keeper: Keeper) -> None:
    keeper.client("s3").create_bucket(Bucket="bucket")
    keeper.client("s3").put_object(Bucket="bucket", Key="k", Body=b"content" * 1000)
    keeper.save()
    path = keeper.folder / "manifest.json"
    good = path.read_text()

    def with_versions(**other: Any) -> None:
        code = (
            f"import json, sys; sys.path.insert(0, '{ROOT}/localstack/extension'); from pathlib import Path\n"
            "from sluice_ext.state import files; folder = Path(sys.argv[1])\n"
            "m = files.read_manifest(folder); m['versions'] |= json.loads(sys.argv[2]); files.write_manifest(folder, m)"
        )
        path.write_text(good)
        subprocess.run([sys.executable, "-c", code, str(keeper.folder), json.dumps(other)], check=True)

    with_versions(localstack="4.13.0", schema=0, architecture="riscv64")
    said = _refused(keeper)
    for words in ("LocalStack is 4.14.0, the state's is 4.13.0", "saved states", "the state's is riscv64"):
        assert words in said
    assert keeper.engine.process.poll() is not None

    path.write_text(good)
    part = json.loads(good)["parts"]["stores"]["sha256"]
    stored = keeper.folder.parent / "objects" / part[:2] / part
    content = stored.read_bytes()
    stored.write_bytes(content[:-1] + b"x")
    assert "is damaged: stores" in _refused(keeper)
    stored.write_bytes(content)
    digest = json.loads(good)["objects"][0][0]
    (keeper.folder.parent / "objects" / digest[:2] / digest).write_bytes(b"content" * 999)
    assert "is damaged: an S3 object" in _refused(keeper)


def test_a_kill_while_saving_leaves_the_last_state(keeper: Keeper) -> None:
    s3 = keeper.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"saved")
    keeper.save()
    s3.put_object(Bucket="bucket", Key="k", Body=b"not saved")
    s3.put_object(Bucket="bucket", Key="large", Body=bytes(1 << 20) * 64)

    def save() -> None:
        try:
            keeper.save()
        except (OSError, urllib.error.URLError):
            return

    saver = threading.Thread(target=save)
    saver.start()
    objects = keeper.folder.parent / "objects"
    eventually(lambda: list(objects.glob(".new-*")), 30, "a content to be written")
    keeper.engine.stop(signal.SIGKILL)
    saver.join()
    keeper.restart()
    assert keeper.client("s3").get_object(Bucket="bucket", Key="k")["Body"].read() == b"saved"
