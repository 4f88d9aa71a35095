"""Cold starts by a fork of a process that has the libraries: an environment is what a new process would be.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.engine_harness import Engine, Function, eventually, zipped

Make = Callable[..., Function]
LOOK = (
    "import boto3, os, random, resource, sys, time, uuid\n"
    "print('imported by', os.getpid())\n"
    "started, calls = time.time(), 0\n"
    "def handler(event, context):\n"
    "    global calls\n    calls += 1\n"
    "    if event.get('write'):\n        open('/tmp/left', 'w').close()\n"
    "    if 'exit' in event:\n        os._exit(event['exit'])\n"
    "    if 'raise' in event:\n        os.kill(os.getpid(), event['raise'])\n        time.sleep(5)\n"
    "    with open(f'/proc/{os.getppid()}/cmdline') as file:\n        parent = file.read().split(chr(0))\n"
    "    return {\n"
    "        'forked': any(part.startswith('serve:') for part in parent), 'calls': calls, 'pid': os.getpid(),\n"
    "        'session': os.getsid(0), 'tmp': os.listdir('/tmp'), 'cwd': os.getcwd(), 'argv': sys.argv,\n"
    "        'path': sys.path,\n"
    "        'variables': dict(os.environ), 'random': [random.random(), uuid.uuid4().hex], 'opt': os.listdir('/opt'),\n"
    "        'handles': sorted(os.readlink(f'/proc/self/fd/{fd}').split(':')[0]\n"
    "                          for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')),\n"
    "        'foreign': [name for name in ('fork_server', 'fork_servers') if name in sys.modules],\n"
    "        'module': __name__, 'file': __file__, 'access_key': boto3.Session().get_credentials().access_key,\n"
    "    }\n"
)
OWN = {
    "AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "_X_AMZN_TRACE_ID",
}  # fmt: skip


def end(function: Function) -> None:
    """Ends the environment, so that the next event is a cold start."""
    answer = function.invoke({"exit": 3, "write": True})
    assert "exit status 3" in answer["payload"]["errorMessage"], answer["log"]


def printed_by(function: Function) -> list[int]:
    """Processes that printed that they import the function's module, in order."""
    return [int(line.split()[-1]) for line in function.log() if line.startswith("imported by")]


def test_the_second_cold_start_is_a_fork_and_differs_from_the_first_in_nothing_but_its_own(function: Make) -> None:
    looked = function(LOOK, variables={"OWN_SETTING": "kept"})
    first = looked.invoke({"write": True})["payload"]
    end(looked)
    forks = []
    for _ in range(2):
        forks.append(looked.invoke({"write": True})["payload"])
        end(looked)
    for fork in forks:
        assert (first["forked"], fork["forked"]) == (False, True)
        assert fork["variables"]["OWN_SETTING"] == "kept"
        for name in ("calls", "tmp", "cwd", "argv", "path", "opt", "handles", "foreign", "module", "file"):
            assert fork[name] == first[name], name
        assert fork["session"] == fork["pid"]
        variables = [{k: v for k, v in one["variables"].items() if k not in OWN} for one in (first, fork)]
        assert variables[0] == variables[1]
        assert fork["access_key"] == fork["variables"]["AWS_ACCESS_KEY_ID"]
    every = [first, *forks]
    for name in ("AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API"):
        assert len({one["variables"][name] for one in every}) == 3
    assert len({number for one in every for number in one["random"]}) == 6
    eventually(lambda: printed_by(looked) == [one["pid"] for one in every], what="what each printed when it began")


MODELS = (
    "import os, sys\n"
    "opened = []\n"
    "def note(event, given):\n"
    "    if event == 'open' and '/botocore/data/' in str(given[0]):\n"
    "        opened.append(os.path.basename(str(given[0])).partition('.')[0])\n"
    "sys.addaudithook(note)\n"
    "import botocore.session\n"
    "def read():\n"
    "    begin = len(opened)\n"
    "    model = botocore.session.Session().get_component('data_loader').load_service_model('sqs', 'service-2')\n"
    "    found = sorted(model.pop('operations'))\n"
    "    return found, 'service-2' in opened[begin:]\n"
    "first = read()\n"
    "def handler(event, context):\n"
    "    if 'exit' in event:\n        os._exit(event['exit'])\n"
    "    return [first, read()]\n"
)


def test_a_fork_has_the_models_of_services_that_its_first_start_read_and_each_reader_one_of_its_own(
    function: Make,
) -> None:
    """A client is made of its service's model:
    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/loaders.html
    """
    looked = function(MODELS)
    first = looked.invoke()["payload"]
    operations = first[0][0]
    assert "SendMessage" in operations
    assert first == [[operations, True], [operations, True]]
    for _ in range(2):
        end(looked)
        # no file for the first reader, who has removed the operations from what it got; the next one reads the file
        assert looked.invoke()["payload"] == [[operations, False], [operations, True]]


@pytest.mark.parametrize(("event", "said"), [({"exit": 7}, "exit status 7"), ({"raise": 9}, "signal: killed")])
def test_a_fork_that_ends_says_how(function: Make, event: dict[str, Any], said: str) -> None:
    looked = function(LOOK)
    looked.invoke()
    end(looked)
    assert looked.invoke()["payload"]["forked"]
    assert said in looked.invoke(event)["payload"]["errorMessage"]
    assert looked.invoke()["payload"]["calls"] == 1


def test_a_fork_that_takes_too_long_is_killed(function: Make) -> None:
    looked = function(LOOK + "import signal\nsignal.signal(signal.SIGTERM, lambda *_: None)\n", Timeout=1)
    looked.invoke()
    looked.invoke({"exit": 3})
    assert looked.invoke()["payload"]["forked"]
    assert "Task timed out" in looked.invoke({"raise": 15})["payload"]["errorMessage"]
    assert looked.invoke()["payload"]["calls"] == 1


def _layer(engine: Engine, files: dict[str, str]) -> str:
    name = f"layer-{uuid.uuid4().hex[:8]}"
    content = {f"python/{path}": text for path, text in files.items()}
    made = engine.client("lambda").publish_layer_version(LayerName=name, Content={"ZipFile": zipped(content)})
    return str(made["LayerVersionArn"])


USER = (
    "import os, {module}\ndef handler(event, context):\n    if event:\n        os._exit(3)\n"
    "    with open(f'/proc/{{os.getppid()}}/cmdline') as file:\n        parent = file.read()\n"
    "    return ['serve:' in parent, {module}.PID == os.getpid(), {module}.KEY == os.environ['AWS_ACCESS_KEY_ID']]\n"
)
REMEMBERS = "import os\nPID, KEY = os.getpid(), os.environ.get('AWS_ACCESS_KEY_ID')\n"


@pytest.mark.parametrize(
    ("extra", "packaged", "forked", "shared"),
    [
        pytest.param("", "", True, False, id="own-module-is-imported-by-each"),
        pytest.param("", "other-1", True, True, id="installed-package-is-imported-once"),
        pytest.param("", "shared_thing-1", True, True, id="package-without-a-record-is-known-by-its-name"),
        pytest.param(
            "import threading, time\nthreading.Thread(target=time.sleep, args=(99,), daemon=True).start()\n",
            "other-1",
            False,
            False,
            id="package-with-a-thread",
        ),
        pytest.param(
            "import socket\nS = socket.socketpair()\n", "other-1", False, False, id="package-with-a-connection"
        ),
    ],
)
def test_only_installed_packages_that_can_be_forked_are_shared(
    engine: Engine, function: Make, extra: str, packaged: str, forked: bool, shared: bool
) -> None:
    files = {"shared_thing.py": REMEMBERS + extra}
    if packaged:
        files[f"{packaged}.dist-info/METADATA"] = "Metadata-Version: 2.1\n"
    if packaged == "other-1":
        files["other-1.dist-info/RECORD"] = "shared_thing.py,,\n"
    looked = function(USER.format(module="shared_thing"), Layers=[_layer(engine, files)])
    assert looked.invoke()["payload"] == [False, True, True]
    looked.invoke({"exit": True})
    for _ in range(2):
        is_forked, is_own, has_key = looked.invoke()["payload"]
        assert (is_forked, is_own) == (forked, not shared)
        assert has_key == (not shared), "no credentials are known when a package is imported for all"
        looked.invoke({"exit": True})


def test_a_changed_function_begins_with_an_ordinary_start(function: Make, engine: Engine) -> None:
    looked = function(LOOK)
    looked.invoke()
    end(looked)
    assert looked.invoke()["payload"]["forked"]
    engine.client("lambda").update_function_configuration(
        FunctionName=looked.name, Environment={"Variables": {"NEW": "value"}}
    )
    looked.wait()
    found = looked.invoke()["payload"]
    assert (found["forked"], found["variables"]["NEW"]) == (False, "value")
