"""What a function process sees, and what becomes of one that does not end well."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.engine_harness import Engine, Function, eventually, zipped

Make = Callable[..., Function]


def test_a_function_sees_aws_variables_and_its_own_and_nothing_of_the_host(engine: Engine, function: Make) -> None:
    code = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"
    made = function(code, variables={"MINE": "yes"})
    seen = made.invoke()["payload"]
    assert seen["MINE"] == "yes"
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == made.name
    assert seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert seen["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert seen["_HANDLER"] == "handler.handler"
    assert seen["TZ"] == ":UTC"
    assert seen["AWS_REGION"] == "us-east-1"
    assert seen["_X_AMZN_TRACE_ID"].startswith("Root=")
    assert seen["AWS_ENDPOINT_URL"] == engine.url
    assert "DEVELOPER_SECRET" not in seen
    assert "HOME" not in seen
    assert "engine" not in seen["PATH"]
    assert seen.get("PYTHONPATH", "") == ""


def test_only_the_runtime_and_the_functions_own_modules_can_be_imported(function: Make) -> None:
    code = "import boto3, awslambdaric\ndef handler(event, context):\n    import localstack\n"
    answer = function(code).invoke()
    assert answer["error"] == "Unhandled"
    assert answer["payload"]["errorType"] == "ModuleNotFoundError"


def test_each_environment_has_credentials_of_its_own_for_the_functions_role(function: Make) -> None:
    code = "import boto3\ndef handler(event, context):\n    return boto3.client('sts').get_caller_identity()['Arn']\n"
    made = function(code, Timeout=15)
    assert made.invoke()["payload"] == f"arn:aws:sts::000000000000:assumed-role/contract/{made.name}"


def test_context_carries_request_id_arn_deadline_and_log_names(function: Make) -> None:
    code = (
        "def handler(event, context):\n"
        "    return [context.aws_request_id, context.invoked_function_arn, context.get_remaining_time_in_millis(),\n"
        "            context.log_group_name, context.log_stream_name, context.memory_limit_in_mb]\n"
    )
    made = function(code)
    request_id, arn, left, group, stream, memory = made.invoke()["payload"]
    assert len(request_id) == 36
    assert arn == made.arn
    assert 3000 < left <= 5000
    assert group == f"/aws/lambda/{made.name}"
    assert "[$LATEST]" in stream
    assert memory == "256"


def test_a_warm_environment_is_used_again(function: Make) -> None:
    code = (
        "import os\ncount = 0\ndef handler(event, context):\n"
        "    global count\n    count += 1\n    return [os.getpid(), count]\n"
    )
    made = function(code)
    (first, one), (second, two) = made.invoke()["payload"], made.invoke()["payload"]
    assert (first, one, two) == (second, 1, 2)


def test_tmp_is_private_to_an_environment_and_kept_between_its_invocations(function: Make, tmp_path: Path) -> None:
    code = (
        "import os, pathlib, tempfile\ndef handler(event, context):\n"
        "    path = pathlib.Path(tempfile.gettempdir()) / 'note'\n"
        "    found = path.read_text() if path.exists() else ''\n    path.write_text(event['text'])\n    return found\n"
    )
    one, other = function(code), function(code)
    assert one.invoke({"text": "first"})["payload"] == ""
    assert other.invoke({"text": "second"})["payload"] == ""
    assert one.invoke({"text": "third"})["payload"] == "first"
    assert not Path("/tmp/note").exists()


def test_a_timeout_kills_the_process_and_says_so(function: Make) -> None:
    code = "import time\ndef handler(event, context):\n    print('began', flush=True)\n    time.sleep(30)\n"
    made = function(code, Timeout=1)
    answer = made.invoke()
    request_id = answer["log"].split("START RequestId: ")[1].split()[0]
    assert answer["error"] == "Unhandled"
    assert answer["payload"] == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request_id} Error: Task timed out after 1.00 seconds",
    }
    assert "began\n" in answer["log"]
    assert f"{request_id} Task timed out after 1.00 seconds" in answer["log"]
    assert "Status: timeout" in answer["log"]


def test_after_a_timeout_the_next_event_gets_a_new_process(function: Make) -> None:
    code = (
        "import os, time\ndef handler(event, context):\n    time.sleep(event.get('sleep', 0))\n    return os.getpid()\n"
    )
    made = function(code, Timeout=1)
    first = made.invoke()["payload"]
    assert made.invoke({"sleep": 9})["error"] == "Unhandled"
    assert made.invoke()["payload"] != first
    assert not Path(f"/proc/{first}").exists()


def test_a_process_that_exits_fails_the_invocation_with_its_status(function: Make) -> None:
    code = "import os\ndef handler(event, context):\n    os._exit(event['status'])\n"
    made = function(code)
    crashed = made.invoke({"status": 1})
    assert crashed["error"] == "Unhandled"
    assert crashed["payload"]["errorType"] == "Runtime.ExitError"
    assert crashed["payload"]["errorMessage"].endswith("Error: Runtime exited with error: exit status 1")
    assert "Runtime.ExitError" in crashed["log"]
    quiet = made.invoke({"status": 0})
    assert quiet["payload"]["errorMessage"].endswith("Error: Runtime exited without providing a reason")


def test_growing_beyond_the_memory_size_kills_the_function(function: Make) -> None:
    code = (
        "import time\ndef handler(event, context):\n"
        "    held = b'x' * 400_000_000\n    time.sleep(3)\n    return len(held)\n"
    )
    answer = function(code, MemorySize=128).invoke()
    assert answer["payload"]["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    assert "Memory Size: 128 MB\tMax Memory Used: 128 MB" in answer["log"]
    assert "Error Type: Runtime.OutOfMemory" in answer["log"]


def test_an_exception_comes_back_with_type_message_and_trace(function: Make) -> None:
    answer = function("def handler(event, context):\n    raise ValueError('no good')\n").invoke()
    assert answer["error"] == "Unhandled"
    assert answer["payload"]["errorType"] == "ValueError"
    assert answer["payload"]["errorMessage"] == "no good"
    assert "line 2, in handler" in answer["payload"]["stackTrace"][0]


def test_a_module_that_cannot_be_imported_fails_the_init(function: Make) -> None:
    answer = function("import missing_module\n").invoke()
    assert answer["error"] == "Unhandled"
    assert answer["payload"]["errorType"] == "Runtime.ImportModuleError"
    assert answer["payload"]["errorMessage"] == "Unable to import module 'handler': No module named 'missing_module'"
    assert "INIT_REPORT Init Duration: " in answer["log"]


def test_a_missing_handler_fails_the_init(function: Make) -> None:
    answer = function("other = 1\n").invoke()
    assert answer["payload"]["errorType"] == "Runtime.HandlerNotFound"


def test_an_init_over_its_limit_runs_again_on_the_functions_own_time(function: Make) -> None:
    code = "import time\ntime.sleep(2.5)\ndef handler(event, context):\n    return 'ready'\n"
    answer = function(code, Timeout=6).invoke()
    assert answer["payload"] == "ready"
    assert "Phase: init\tStatus: timeout" in answer["log"]


def test_an_answer_over_6_mb_is_refused(function: Make) -> None:
    code = "def handler(event, context):\n    return 'x' * (event['size'] - 2)\n"
    made = function(code, MemorySize=512)
    assert len(made.invoke({"size": 6_291_556})["payload"]) == 6_291_554
    answer = made.invoke({"size": 6_291_557})
    assert answer["error"] == "Unhandled"
    assert answer["payload"] == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }


def test_a_runtime_without_an_interpreter_fails_the_invocation_and_names_the_path(function: Make) -> None:
    answer = function("def handler(event, context):\n    return 1\n", Runtime="nodejs20.x").invoke()
    assert answer["error"] == "Unhandled"
    assert "no interpreter for runtime nodejs20.x" in answer["payload"]["errorMessage"]


def test_log_lines_are_those_of_lambda(function: Make) -> None:
    code = (
        "import logging\nprint('at init')\n"
        "def handler(event, context):\n    print('plain')\n    logging.error('logged')\n"
    )
    made = function(code)
    made.invoke()
    lines = eventually(lambda: made.log() if made.starts() else [], 10, "the log")
    request_id = lines[2].split()[2]
    assert lines[0].startswith("INIT_START Runtime Version: python")
    assert lines[1] == "at init"
    assert lines[2] == f"START RequestId: {request_id} Version: $LATEST"
    assert lines[3] == "plain"
    assert lines[4].startswith("[ERROR]\t")
    assert lines[4].endswith(f"\t{request_id}\tlogged")
    assert lines[5] == f"END RequestId: {request_id}"
    fields = dict(part.split(": ", 1) for part in lines[6].rstrip("\t").split("\t"))
    assert fields["REPORT RequestId"] == request_id
    assert fields["Memory Size"] == "256 MB"
    assert 5 < int(fields["Max Memory Used"].removesuffix(" MB")) < 200
    assert float(fields["Init Duration"].removesuffix(" ms")) > 1
    assert int(fields["Billed Duration"].removesuffix(" ms")) >= float(fields["Duration"].removesuffix(" ms"))
    made.invoke()
    again = eventually(lambda: made.log() if made.starts() == 2 else [], 10, "the second log")
    assert not any("Init Duration" in line for line in again[7:])


def test_layers_lie_over_each_other_later_ones_winning(client: Callable[..., Any], function: Make) -> None:
    api = client("lambda")

    def layer(name: str, files: dict[str, str]) -> str:
        content = {f"python/{path}": text for path, text in files.items()}
        arn: str = api.publish_layer_version(LayerName=name, Content={"ZipFile": zipped(content)})["LayerVersionArn"]
        return arn

    first = layer("first", {"shared.py": "who = 'first'", "pack/__init__.py": "", "pack/one.py": "x = 1"})
    second = layer("second", {"shared.py": "who = 'second'", "pack/two.py": "x = 2"})
    code = (
        "import shared, pack.one, pack.two\n"
        "def handler(event, context):\n    return [shared.who, pack.one.x, pack.two.x]\n"
    )
    assert function(code, Layers=[first, second]).invoke()["payload"] == ["second", 1, 2]
    assert function(code, Layers=[second, first]).invoke()["payload"] == ["first", 1, 2]


def test_the_task_root_comes_before_layers(client: Callable[..., Any], engine: Engine, function: Make) -> None:
    api = client("lambda")
    content = zipped({"python/thing.py": "who = 'layer'"})
    arn = api.publish_layer_version(LayerName="thing", Content={"ZipFile": content})["LayerVersionArn"]
    made = function("import thing\ndef handler(event, context):\n    return thing.who\n", Layers=[arn])
    assert made.invoke()["payload"] == "layer"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", "import thing\ndef handler(event, context):\n    return thing.who\n")
        archive.writestr("thing.py", "who = 'task root'")
    api.update_function_code(FunctionName=made.name, ZipFile=buffer.getvalue())
    made.wait()
    assert made.invoke()["payload"] == "task root"


def test_reserved_concurrency_refuses_more_at_once(client: Callable[..., Any], function: Make) -> None:
    from concurrent.futures import ThreadPoolExecutor

    made = function("import time\ndef handler(event, context):\n    time.sleep(1.5)\n    return 'done'\n")
    api = client("lambda")
    api.put_function_concurrency(FunctionName=made.name, ReservedConcurrentExecutions=1)

    def invoke(_: int) -> str:
        try:
            return str(made.invoke()["payload"])
        except api.exceptions.TooManyRequestsException as error:
            return str(error.response["Error"]["Code"])
        except Exception as error:  # noqa: BLE001 - another client's class of the same exception
            return type(error).__name__

    with ThreadPoolExecutor(3) as pool:
        answers = sorted(pool.map(invoke, range(3)))
    assert answers == ["TooManyRequestsException", "TooManyRequestsException", "done"]


def test_a_deleted_function_leaves_no_process_and_no_files(engine: Engine) -> None:
    made = Function(
        engine, "import os\ndef handler(event, context):\n    return [os.getpid(), os.path.realpath('.')]\n"
    )
    pid, _ = made.invoke()["payload"]
    assert Path(f"/proc/{pid}").exists()
    # The process has the folder at /var/task; the command that started it names where it really is.
    root = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[5].decode()
    assert Path(root).is_dir()
    engine.client("lambda").delete_function(FunctionName=made.name)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), 10, "the process to end")
    eventually(lambda: not Path(root).exists(), 10, "the code to be removed")
