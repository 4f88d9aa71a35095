"""A function's creation and updates last a while; what is refused, and what runs, until they have ended.

https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
"""

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import ROLE, Engine, Function, eventually, zipped
from tests.support.state_keeper import Keeper

Make = Callable[..., Function]
CREATING = "The operation cannot be performed at this time. The function is currently in the following state: Pending"


def saying(answer: str) -> str:
    return f"import os\ndef handler(event, context):\n    return [{answer!r}, os.environ.get('VALUE')]\n"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine whose changes last long enough to look at them."""
    running = Engine(tmp_path_factory.mktemp("slow"), SLUICE_LAMBDA_UPDATE_SECONDS="3")
    yield running
    running.stop()


@pytest.fixture
def functions(slow: Engine) -> Any:
    return slow.client("lambda")


def create(functions: Any, answer: str = "old", **options: Any) -> str:
    """Creates a function and does not wait."""
    name = f"fn-{uuid.uuid4().hex[:8]}"
    functions.create_function(
        FunctionName=name,
        Role=ROLE,
        Runtime="python3.13",
        Handler="handler.handler",
        Code={"ZipFile": zipped({"handler.py": saying(answer)})},
        **options,
    )
    return name


def active(functions: Any, answer: str = "old", **options: Any) -> str:
    name = create(functions, answer, **options)
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    return name


def states(functions: Any, name: str) -> tuple[str, str | None]:
    found = functions.get_function_configuration(FunctionName=name)
    return found["State"], found.get("LastUpdateStatus")


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    """The message of the ResourceConflictException with which the call is answered."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("ResourceConflictException", 409)
    return str(answer["Error"]["Message"])


def every_change(functions: Any, name: str) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    return [
        (functions.update_function_code, {"FunctionName": name, "ZipFile": zipped({"handler.py": saying("other")})}),
        (functions.update_function_configuration, {"FunctionName": name, "MemorySize": 512}),
        (functions.publish_version, {"FunctionName": name}),
    ]


def answer(functions: Any, name: str) -> Any:
    return json.loads(functions.invoke(FunctionName=name)["Payload"].read())


def test_until_a_function_is_made_it_is_neither_invoked_nor_changed(functions: Any) -> None:
    name = create(functions)
    assert states(functions, name) == ("Pending", None)
    for kind in ("RequestResponse", "Event"):
        assert refused(functions.invoke, FunctionName=name, InvocationType=kind) == CREATING
    for call, arguments in every_change(functions, name):
        assert refused(call, **arguments) == CREATING
    found = functions.get_function_configuration(FunctionName=name)
    assert (found["StateReasonCode"], found["MemorySize"]) == ("Creating", 128)
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    assert states(functions, name) == ("Active", "Successful")
    assert answer(functions, name) == ["old", None]
    assert functions.publish_version(FunctionName=name)["Version"] == "1"


@pytest.mark.parametrize(
    ("update", "arguments", "after"),
    [
        ("update_function_code", {"ZipFile": zipped({"handler.py": saying("new")})}, ["new", None]),
        ("update_function_configuration", {"Environment": {"Variables": {"VALUE": "2"}}}, ["old", "2"]),
    ],
)
def test_an_update_that_is_in_progress_refuses_another_and_runs_the_former_code(
    functions: Any, update: str, arguments: dict[str, Any], after: list[Any]
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html (ResourceConflictException)"""
    name = active(functions)
    arn = functions.get_function_configuration(FunctionName=name)["FunctionArn"]
    assert answer(functions, name) == ["old", None]
    changed = getattr(functions, update)(FunctionName=name, **arguments)
    assert (changed["State"], changed["LastUpdateStatus"]) == ("Active", "InProgress")
    for call, others in every_change(functions, name):
        message = refused(call, **others)
        assert message == (
            f"The operation cannot be performed at this time. An update is in progress for resource: {arn}"
        )
    assert answer(functions, name) == ["old", None]
    found = functions.get_function_configuration(FunctionName=name)
    assert (found["LastUpdateStatus"], found["CodeSha256"], found["MemorySize"]) == (
        "InProgress",
        changed["CodeSha256"],
        128,
    )
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    assert answer(functions, name) == after
    assert functions.publish_version(FunctionName=name)["Version"] == "1"


def test_of_many_updates_at_once_one_is_carried_out(functions: Any) -> None:
    name = active(functions)

    def update(size: int) -> int:
        """The size when it was accepted, otherwise 0."""
        try:
            functions.update_function_configuration(FunctionName=name, MemorySize=size)
        except functions.exceptions.ResourceConflictException:
            return 0
        return size

    with ThreadPoolExecutor(6) as pool:
        (accepted,) = [size for size in pool.map(update, range(200, 206)) if size]
    assert functions.get_function_configuration(FunctionName=name)["MemorySize"] == accepted


def test_a_published_version_and_its_alias_run_while_latest_changes(functions: Any) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html"""
    name = active(functions)
    published = functions.publish_version(FunctionName=name)
    assert (published["Version"], published["State"]) == ("1", "Active")
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    made = functions.update_function_code(
        FunctionName=name, ZipFile=zipped({"handler.py": saying("new")}), Publish=True
    )
    assert made["Version"] == "2"
    assert answer(functions, f"{name}:live") == answer(functions, f"{name}:1") == ["old", None]
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    assert states(functions, f"{name}:2")[0] == "Active"
    assert answer(functions, f"{name}:2") == ["new", None]
    assert answer(functions, f"{name}:live") == ["old", None]


def test_a_function_that_is_deleted_during_its_change_can_be_made_again(functions: Any) -> None:
    first = create(functions)
    functions.delete_function(FunctionName=first)
    functions.create_function(
        FunctionName=first, Role=ROLE, Runtime="python3.13", Handler="handler.handler",
        Code={"ZipFile": zipped({"handler.py": saying("again")})},
    )  # fmt: skip
    assert states(functions, first)[0] == "Pending"
    functions.get_waiter("function_active_v2").wait(FunctionName=first)
    assert answer(functions, first) == ["again", None]


def test_every_invocation_during_an_update_is_answered_by_the_one_or_the_other(functions: Any, slow: Engine) -> None:
    """ "While a function update is in progress, invocations go to the function's previous code and configuration." """
    name, ended = active(functions), Event()

    def ask(_: int) -> list[str]:
        client, found = slow.client("lambda"), list[str]()
        while not ended.is_set():
            found.append(answer(client, name)[0])
        return found

    with ThreadPoolExecutor(3) as pool:
        try:
            asked = [pool.submit(ask, number) for number in range(3)]
            functions.update_function_code(FunctionName=name, ZipFile=zipped({"handler.py": saying("new")}))
            functions.get_waiter("function_updated_v2").wait(FunctionName=name)
            eventually(lambda: answer(functions, name)[0] == "new", 10, "the new code")
        finally:
            ended.set()
        answers = [one.result() for one in asked]
    for one in answers:
        assert one[0] == "old"
        assert one == sorted(one, reverse=True), "the former code answered after the new one"


LATE = """
import time
time.sleep(float({init}))
def handler(event, context):
    time.sleep(event["seconds"])
    import late
    return late.answer
"""


def late(answer: str, init: float = 0) -> bytes:
    """A function that imports a module of its own at the end of an invocation."""
    return zipped({"handler.py": LATE.format(init=init), "late.py": f"answer = {answer!r}\n"})


@pytest.mark.parametrize(("init", "seconds", "expected"), [(0, 7, "old"), (7, 0, "new")])
def test_an_invocation_that_an_update_overtakes_is_answered(
    functions: Any, slow: Engine, init: float, seconds: float, expected: str
) -> None:
    """One that runs ends with the former code. One whose environment is still being started gets the new code."""
    name = create(functions, Timeout=20)
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    functions.update_function_code(FunctionName=name, ZipFile=late("old", init))
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    caller, payload = slow.client("lambda"), json.dumps({"seconds": seconds})
    with ThreadPoolExecutor(1) as pool:
        functions.update_function_code(FunctionName=name, ZipFile=late("new"))
        asked = pool.submit(lambda: caller.invoke(FunctionName=name, Payload=payload))
        soon = {"Delay": 0.2, "MaxAttempts": 300}
        functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=soon)
        assert not asked.done(), "the update did not overtake the invocation"
        given = asked.result()
    assert "FunctionError" not in given
    assert json.loads(given["Payload"].read()) == expected


def test_a_change_that_was_in_progress_at_a_save_has_ended_after_the_load(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, SLUICE_LAMBDA_UPDATE_SECONDS="30")
    try:
        client = keeper.client("lambda")
        made = create(client, "made")
        assert states(client, made)[0] == "Pending"
        keeper.again(SLUICE_LAMBDA_UPDATE_SECONDS="30")
        client = keeper.client("lambda")
        assert states(client, made) == ("Active", "Successful")
        assert answer(client, made) == ["made", None]
        client.update_function_code(FunctionName=made, ZipFile=zipped({"handler.py": saying("changed")}))
        assert (states(client, made), answer(client, made)) == (("Active", "InProgress"), ["made", None])
        keeper.again()
        client = keeper.client("lambda")
        assert states(client, made) == ("Active", "Successful")
        assert answer(client, made) == ["changed", None]
        assert client.publish_version(FunctionName=made)["Version"] == "1"
    finally:
        keeper.engine.stop()
