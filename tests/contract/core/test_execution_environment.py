"""The execution environment of a function: its file system, its freezing, its wrapper, its nested invocations.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.support.engine_harness import Engine, Function, call, eventually

Make = Callable[..., Function]
INVOKE = (
    "import boto3, json\nfrom botocore.config import Config\n"
    "client = boto3.client('lambda', config=Config(retries={'total_max_attempts': 1}, read_timeout=60))\n"
    "def handler(event, context):\n"
    "    answer = client.invoke(FunctionName=event['next'][0], Payload=json.dumps({'next': event['next'][1:]}))\n"
    "    return 1 + json.load(answer['Payload'])\n"
)


def test_code_is_in_var_task_and_only_tmp_can_be_written(function: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html (LAMBDA_TASK_ROOT)"""
    code = (
        "import errno, os\ndef handler(event, context):\n    found = {}\n"
        "    for folder in ('/var/task', '/opt', '/var', '/tmp'):\n"
        "        try:\n            open(folder + '/new', 'w').close()\n            found[folder] = 'written'\n"
        "        except OSError as error:\n            found[folder] = errno.errorcode[error.errno]\n"
        "    return [__file__, os.getcwd(), os.environ['LAMBDA_TASK_ROOT'], os.listdir('/opt'), found]\n"
    )
    place, folder, root, layers, written = function(code).invoke()["payload"]
    assert (place, folder, root, layers) == ("/var/task/handler.py", "/var/task", "/var/task", [])
    assert written == {"/var/task": "EROFS", "/opt": "EROFS", "/var": "EROFS", "/tmp": "written"}
    assert not Path("/var/task/new").exists()


def test_bytecode_is_there_at_the_first_cold_start_and_names_var_task(function: Make) -> None:
    """Code is read-only, so a cold start that has to compile it would do so every time."""
    code = (
        "import marshal, os\ndef handler(event, context):\n"
        "    with open(__spec__.cached, 'rb') as file:\n        stored = marshal.loads(file.read()[16:])\n"
        "    return [__spec__.cached, stored.co_filename]\n"
    )
    cached, compiled_as = function(code).invoke()["payload"]
    assert cached.startswith("/var/task/__pycache__/handler.")
    assert compiled_as == "/var/task/handler.py"


def test_background_threads_and_children_stop_between_two_invocations(function: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-invoke"""
    code = (
        "import os, subprocess, threading, time\n"
        "beats = 0\n"
        "def beat():\n    global beats\n    while True:\n        time.sleep(0.01)\n        beats += 1\n"
        "threading.Thread(target=beat, daemon=True).start()\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "def handler(event, context):\n"
        "    time.sleep(event.get('sleep', 0))\n    return [os.getpid(), child.pid, beats]\n"
    )
    made = function(code)
    pid, child, before = made.invoke()["payload"]

    def stopped(process: int) -> bool:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    eventually(lambda: stopped(pid) and stopped(child), 5, "the process and its child to stop")
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > 1, 5, "a second")
    again, _, after = made.invoke()["payload"]
    assert again == pid
    assert after - before < 50, "a second of beats would be 100"
    assert made.invoke({"sleep": 0.5})["payload"][2] - after >= 10
    made.invoke()


def test_a_frozen_environment_can_be_ended(engine: Engine) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown"""
    made = Function(engine, "import os\ndef handler(event, context):\n    return os.getpid()\n")
    pid = made.invoke()["payload"]
    assert Path(f"/proc/{pid}").exists()
    engine.client("lambda").delete_function(FunctionName=made.name)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), 10, "the process to end")


def test_a_wrapper_starts_the_runtime(client: Callable[..., Any], function: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html#runtime-wrapper"""
    import io
    import zipfile

    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        script = zipfile.ZipInfo("wrapper")
        script.external_attr = 0o755 << 16
        archive.writestr(script, '#!/bin/sh\nexport WRAPPED="$#"\nexec "$@"\n')
    published = client("lambda").publish_layer_version(LayerName="wrapper", Content={"ZipFile": layer.getvalue()})
    code = (
        "import os\ndef handler(event, context):\n    return [os.environ.get('WRAPPED'), os.environ.get(event['of'])]\n"
    )
    wrapper = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}
    made = function(code, variables=wrapper, Layers=[published["LayerVersionArn"]])
    count, path = made.invoke({"of": "AWS_LAMBDA_EXEC_WRAPPER"})["payload"]
    assert int(count) >= 2
    assert path == "/opt/wrapper"
    missing = function(code, variables={"AWS_LAMBDA_EXEC_WRAPPER": "/opt/none"}).invoke()
    assert missing["payload"]["errorType"] == "Runtime.ExitError"
    assert missing["payload"]["errorMessage"].endswith("exit status 127")


def test_twenty_functions_that_invoke_one_all_get_their_answer(engine: Engine, function: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html (each function scales by itself)"""
    from concurrent.futures import ThreadPoolExecutor

    callee = function("def handler(event, context):\n    return 40\n", Timeout=60)
    callers = [function(INVOKE, Timeout=60, MemorySize=512) for _ in range(20)]
    assert call(engine, "GET", "health")[1]["environments"]["limit"] < 20 + 1
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda one: one.invoke({"next": [callee.name]})["payload"], callers))
    assert answers == [41] * 20
    limit = call(engine, "GET", "health")[1]["environments"]["limit"]
    eventually(lambda: call(engine, "GET", "health")[1]["environments"]["alive"] <= limit, 20, "the surplus to end")


def test_chains_that_together_need_more_than_there_are_end(function: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html"""
    from concurrent.futures import ThreadPoolExecutor

    last = function("def handler(event, context):\n    return 0\n", Timeout=60)
    links = [function(INVOKE, Timeout=60, MemorySize=512) for _ in range(3)]
    names = [one.name for one in links]
    with ThreadPoolExecutor(7) as threads:
        event = {"next": [*names[1:], last.name]}
        answers = list(threads.map(lambda _: links[0].invoke(event)["payload"], range(7)))
    assert answers == [3] * 7


def test_a_log_result_has_no_line_of_the_inits_start_but_the_log_has(function: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html (LogResult)"""
    made = function("def handler(event, context):\n    print('inside')\n")
    log = made.invoke()["log"]
    assert log.startswith("START RequestId: ")
    assert "inside" in log
    eventually(lambda: any(line.startswith("INIT_START ") for line in made.log()), 10, "the line of the init")
    assert not made.invoke()["log"].startswith("INIT_START")


def test_provisioned_concurrency_of_a_function_that_cannot_start_has_failed(
    client: Callable[..., Any], function: Make
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_GetProvisionedConcurrencyConfig.html"""
    made = function("raise ValueError('no')\n")
    functions = client("lambda")
    version = functions.publish_version(FunctionName=made.name)["Version"]
    place = {"FunctionName": made.name, "Qualifier": version}
    functions.put_provisioned_concurrency_config(**place, ProvisionedConcurrentExecutions=1)

    def state() -> Any:
        found = functions.get_provisioned_concurrency_config(**place)
        return found if found["Status"] != "IN_PROGRESS" else None

    found = eventually(state, 20, "the provisioning to end")
    assert found["Status"] == "FAILED"
    assert found["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
    assert found.get("AvailableProvisionedConcurrentExecutions", 0) == 0


def test_a_function_url_resolves_and_carries_the_request(client: Callable[..., Any], function: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html"""
    code = (
        "def handler(event, context):\n    http = event['requestContext']['http']\n"
        "    return [event['rawPath'], event['rawQueryString'], http['method'], event['headers']['host'],\n"
        "            event['requestContext']['domainName'], event.get('body'), sorted(event['headers'])]\n"
    )
    made, functions = function(code), client("lambda")
    url = functions.create_function_url_config(FunctionName=made.name, AuthType="NONE")["FunctionUrl"]
    assert functions.get_function_url_config(FunctionName=made.name)["FunctionUrl"] == url
    with urlopen(url + "a/b?x=1&y=2", timeout=20) as answer:
        path, query, method, host, domain, body, headers = json.load(answer)
    assert "remote-addr" not in headers
    assert (path, query, method, body) == ("/a/b", "x=1&y=2", "GET", None)
    assert host == domain
    assert host.endswith(".lambda-url.us-east-1.on.aws")
    with urlopen(url, data=b"hello", timeout=20) as answer:
        assert json.load(answer)[:3] == ["/", "", "POST"]
    with urlopen(url + "/a//b?x=1", timeout=20) as answer:
        assert json.load(answer)[:3] == ["/a/b", "x=1", "GET"]
    functions.update_function_url_config(FunctionName=made.name, AuthType="AWS_IAM")
    with pytest.raises(HTTPError, match="403"):
        urlopen(url, timeout=20)
    functions.delete_function_url_config(FunctionName=made.name)
    with pytest.raises(HTTPError, match="403"):
        urlopen(url, timeout=20)
