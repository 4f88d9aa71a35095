"""What Lambda refuses in a function's configuration.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
"""

import io
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.engine_harness import ROLE, Engine, Function, zipped

Make = Callable[..., Function]
CODE = "def handler(event, context):\n    return 1\n"


@pytest.fixture(scope="module")
def functions(engine: Engine) -> Any:
    """A client that leaves every check to the service."""
    return engine.client("lambda", parameter_validation=False)


def refusal(operation: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    """Error code and message; empty ones when the call succeeds."""
    from botocore.exceptions import ClientError

    try:
        operation(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "", ""


def create(functions: Any, **options: Any) -> tuple[str, str]:
    settings = {
        "FunctionName": f"no-{uuid.uuid4().hex[:8]}",
        "Role": ROLE,
        "Runtime": "python3.13",
        "Handler": "handler.handler",
        "Code": {"ZipFile": zipped({"handler.py": CODE})},
    } | options
    found = refusal(functions.create_function, **settings)
    if not found[0]:
        functions.delete_function(FunctionName=settings["FunctionName"])
    return found


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"Timeout": 901},
            "at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900",
        ),
        ({"Timeout": 0}, "at 'timeout' failed"),
        ({"MemorySize": 127}, "at 'memorySize' failed"),
        ({"MemorySize": 10_241}, "Member must have value less than or equal to 10240"),
        ({"EphemeralStorage": {"Size": 511}}, "at 'ephemeralStorage.size' failed"),
        ({"EphemeralStorage": {"Size": 10_241}}, "at 'ephemeralStorage.size' failed"),
        ({"Handler": "two words"}, "at 'handler' failed"),
        ({"Handler": "h" * 129}, "at 'handler' failed"),
        ({"Description": "d" * 257}, "at 'description' failed"),
        ({"Environment": {"Variables": {"1A": "x"}}}, "at 'environment.variables' failed"),
        ({"Environment": {"Variables": {"A": "x"}}}, "at 'environment.variables' failed"),
        ({"Environment": {"Variables": {"A-B": "x"}}}, "at 'environment.variables' failed"),
    ],
)
def test_values_out_of_range_are_refused_by_both_operations(
    functions: Any, function: Make, options: dict[str, Any], words: str
) -> None:
    made = function(CODE)
    for code, message in (
        create(functions, **options),
        refusal(functions.update_function_configuration, FunctionName=made.name, **options),
    ):
        assert code == "ValidationException"
        assert words in message


@pytest.mark.parametrize("name", ["AWS_REGION", "_HANDLER", "AWS_ACCESS_KEY_ID", "LAMBDA_TASK_ROOT"])
def test_reserved_variables_are_refused(functions: Any, function: Make, name: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
    wrong = {"Environment": {"Variables": {name: "x", "FINE": "y"}}}
    made = function(CODE, variables={"MINE": "1"})
    for code, message in (
        create(functions, **wrong),
        refusal(functions.update_function_configuration, FunctionName=made.name, **wrong),
    ):
        assert code == "InvalidParameterValueException"
        assert message.endswith(f"Reserved keys used in this request: {name}")
    kept = functions.get_function_configuration(FunctionName=made.name)
    assert kept["Environment"]["Variables"] == {"MINE": "1"}


def test_sizes_and_numbers_that_lambda_refuses(functions: Any) -> None:
    too_many = {"Environment": {"Variables": {"MINE": "x" * 4_096}}}
    assert create(functions, **too_many)[0] == "InvalidParameterValueException"
    assert create(functions, Runtime="python9.9")[0] == "InvalidParameterValueException"
    assert create(functions, Handler="")[0] == "InvalidParameterValueException"
    assert create(functions, Layers=["arn:aws:lambda:us-east-1:000000000000:layer:none:1"] * 6)[0] == (
        "InvalidParameterValueException"
    )
    assert create(functions, Code={"ZipFile": b"no zip"})[0] == "InvalidParameterValueException"
    assert create(functions) == ("", "")


@pytest.mark.parametrize("runtime", ["python3.7", "nodejs14.x", "java8", "go1.x"])
def test_a_retired_runtime_is_refused(functions: Any, runtime: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html#runtimes-deprecated"""
    code, message = create(functions, Runtime=runtime)
    assert code == "InvalidParameterValueException"
    assert f"runtime parameter of {runtime} is no longer supported" in message


def test_code_and_layers_together_have_250_mb_at_most(engine: Engine, functions: Any, function: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html"""

    def zeros(size: int) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("zeros", b"\0" * size)
            archive.writestr("handler.py", CODE)
        return buffer.getvalue()

    layer = functions.publish_layer_version(LayerName="large", Content={"ZipFile": zeros(200_000_000)})
    arn = layer["LayerVersionArn"]
    code, message = create(functions, Layers=[arn], Code={"ZipFile": zeros(70_000_000)})
    assert code == "InvalidParameterValueException"
    assert message.startswith("Function code combined with layers exceeds the maximum allowed size of 262144000 bytes")
    made = function(CODE, Layers=[arn])
    update = refusal(functions.update_function_code, FunctionName=made.name, ZipFile=zeros(70_000_000))
    assert update == (code, message)
    s3 = engine.client("s3", s3={"addressing_style": "path"})
    bucket = f"code-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="code.zip", Body=zeros(70_000_000))
    assert create(functions, Layers=[arn], Code={"S3Bucket": bucket, "S3Key": "code.zip"}) == (code, message)
    functions.delete_layer_version(LayerName="large", VersionNumber=layer["Version"])


def test_events_have_their_limits(functions: Any, function: Make, engine: Engine) -> None:
    """6 MB of a synchronous event, 1 MB of an asynchronous one."""
    made = function("def handler(event, context):\n    return len(event)\n")
    client = engine.client("lambda")
    large, small = b'"' + b"x" * 6_291_455 + b'"', b'"' + b"x" * 1_048_574 + b'"'
    assert refusal(client.invoke, FunctionName=made.name, Payload=large)[0] == "RequestEntityTooLargeException"
    event = {"FunctionName": made.name, "InvocationType": "Event"}
    assert refusal(client.invoke, **event, Payload=small) == ("", "")
    assert refusal(client.invoke, **event, Payload=small + b" ")[0] == "RequestEntityTooLargeException"
