"""Changes to a deployed stack for as long as a test needs them."""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlencode

from sluice_pipeline.catalog.document import deployed_body
from tests.support.pipeline import Pipeline, until

_VISIBILITY = "VisibilityTimeout"


@contextmanager
def changed_code(pipe: Pipeline, function: str, file: str, right: str, wrong: str) -> Iterator[None]:
    """A function whose code differs in one place of one file while the block runs.

    Fails when the file does not hold the text exactly once: the test has to be adapted.
    """
    name = pipe.stack[f"{function}_function"]
    original = _code(pipe, name)
    with zipfile.ZipFile(io.BytesIO(original)) as archive:
        contents = {entry: archive.read(entry) for entry in archive.namelist()}
    text = contents[file].decode()
    assert text.count(right) == 1, f"{file} does not hold {right!r} once any more: adapt the test"
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for entry, body in (contents | {file: text.replace(right, wrong).encode()}).items():
            archive.writestr(entry, body)
    try:
        _deploy(pipe, name, changed.getvalue())
        yield
    finally:
        _deploy(pipe, name, original)


@contextmanager
def changed_rule(pipe: Pipeline, dataset: str, field: str, **changed: Any) -> Iterator[str]:
    """Other settings of one field in the deployed datasets while the block runs; yields their S3 version."""
    with _changed_datasets(pipe, lambda datasets: datasets[dataset]["fields"][field].update(changed)) as version:
        yield version


@contextmanager
def changed_expectation(pipe: Pipeline, dataset: str, name: str, **changed: Any) -> Iterator[str]:
    """Other settings of one expectation in the deployed datasets while the block runs; yields their S3 version."""

    def change(datasets: dict[str, Any]) -> None:
        datasets[dataset]["quality"]["expectations"][name].update(changed)

    with _changed_datasets(pipe, change) as version:
        yield version


@contextmanager
def changed_contract(pipe: Pipeline, dataset: str, **contract: str) -> Iterator[str]:
    """Another contract of a deployed dataset while the block runs; yields the S3 version of the datasets."""
    with _changed_datasets(pipe, lambda datasets: datasets[dataset].update(contract=contract)) as version:
        yield version


@contextmanager
def _changed_datasets(pipe: Pipeline, change: Callable[[dict[str, Any]], object]) -> Iterator[str]:
    place = {"Bucket": pipe.stack["artifacts_bucket"], "Key": pipe.stack["datasets_key"]}
    deployed = pipe.s3.get_object(**place)
    before = deployed["Body"].read()
    tags = {tag["Key"]: tag["Value"] for tag in pipe.s3.get_object_tagging(**place)["TagSet"]}
    # A later plan is to find the object as it was deployed.
    place |= {"ContentType": deployed["ContentType"], "Tagging": urlencode(tags)}
    whole = json.loads(before)
    change(whole["datasets"])
    body = deployed_body(whole["datasets"])
    assert body != before, "the rule is what it was"
    try:
        yield pipe.s3.put_object(**place, Body=body)["VersionId"]
    finally:
        pipe.s3.put_object(**place, Body=before)


def _code(pipe: Pipeline, name: str) -> bytes:
    location = pipe.lambda_.get_function(FunctionName=name)["Code"]["Location"]
    with urllib.request.urlopen(location, timeout=30) as answer:
        code: bytes = answer.read()
    return code


def _deploy(pipe: Pipeline, name: str, archive: bytes) -> None:
    pipe.lambda_.update_function_code(FunctionName=name, ZipFile=archive)
    pipe.lambda_.get_waiter("function_updated_v2").wait(FunctionName=name)


def cold(pipe: Pipeline, *functions: str) -> None:
    """Gives the functions new environments: code that is deployed again does, be it the same.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    for function in functions:
        name = pipe.stack[f"{function}_function"]
        _deploy(pipe, name, _code(pipe, name))


def configure(pipe: Pipeline, name: str, **settings: Any) -> None:
    """Changes a function's configuration and waits until it is in force."""
    pipe.lambda_.update_function_configuration(FunctionName=name, **settings)
    pipe.lambda_.get_waiter("function_updated_v2").wait(FunctionName=name)


@contextmanager
def environment(pipe: Pipeline, function: str, **variables: str) -> Iterator[None]:
    """A function with other environment variables while the block runs."""
    name = pipe.stack[f"{function}_function"]
    before = pipe.lambda_.get_function_configuration(FunctionName=name)["Environment"]
    configure(pipe, name, Environment={"Variables": before["Variables"] | variables})
    try:
        yield
    finally:
        configure(pipe, name, Environment={"Variables": before["Variables"]})


@contextmanager
def timeouts(pipe: Pipeline, **seconds: int) -> Iterator[None]:
    """Functions with other timeouts while the block runs: ``replay=15``."""
    before = {function: pipe.timeout_of(function) for function in seconds}
    try:
        for function, timeout in seconds.items():
            configure(pipe, pipe.stack[f"{function}_function"], Timeout=timeout)
        yield
    finally:
        for function, timeout in before.items():
            configure(pipe, pipe.stack[f"{function}_function"], Timeout=timeout)


@contextmanager
def wide_mapping(pipe: Pipeline, function: str, concurrency: int = 16, batch: int = 1) -> Iterator[None]:
    """A queue's messages come one a batch, and to many environments of the function, while the block runs.

    So a function that dies or hangs neither counts against another message's receives nor delays it. ``batch``: how
    many come at a time.
    """
    name = pipe.stack[f"{function}_function"]
    [mapping] = pipe.lambda_.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    before = {"BatchSize": mapping["BatchSize"], "ScalingConfig": mapping["ScalingConfig"]}

    def change(**settings: Any) -> None:
        uuid = mapping["UUID"]
        pipe.lambda_.update_event_source_mapping(UUID=uuid, **settings)
        until("the mapping", lambda: pipe.lambda_.get_event_source_mapping(UUID=uuid)["State"] == "Enabled")

    change(BatchSize=batch, ScalingConfig={"MaximumConcurrency": concurrency})
    try:
        yield
    finally:
        change(**before)


@contextmanager
def paused(pipe: Pipeline, function: str) -> Iterator[None]:
    """A queue's messages wait for the function while the block runs."""
    name = pipe.stack[f"{function}_function"]
    [mapping] = pipe.lambda_.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]

    def enable(on: bool) -> None:
        pipe.lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=on)
        state = "Enabled" if on else "Disabled"
        until(
            f"the mapping {state}",
            lambda: pipe.lambda_.get_event_source_mapping(UUID=mapping["UUID"])["State"] == state,
        )

    enable(False)
    try:
        yield
    finally:
        enable(True)


@contextmanager
def unscheduled(pipe: Pipeline, function: str) -> Iterator[None]:
    """A function that runs every minute runs only when the test says so while the block does."""
    events, name = pipe.stack.client("events"), pipe.stack[f"{function}_function"]
    [rule] = events.list_rule_names_by_target(TargetArn=_arn(pipe, name))["RuleNames"]
    events.disable_rule(Name=rule)
    try:
        yield
    finally:
        events.enable_rule(Name=rule)


@contextmanager
def unannounced(pipe: Pipeline) -> Iterator[None]:
    """S3 announces no object of bronze while the block runs."""
    bucket = pipe.stack["bronze_bucket"]
    before = pipe.s3.get_bucket_notification_configuration(Bucket=bucket)
    del before["ResponseMetadata"]
    assert before
    pipe.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        yield
    finally:
        pipe.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=before)


def _arn(pipe: Pipeline, name: str) -> str:
    return str(pipe.lambda_.get_function_configuration(FunctionName=name)["FunctionArn"])


def quick_redelivery(pipe: Pipeline, **queues: str) -> AbstractContextManager[None]:
    """Messages of a function that died come back seconds after its timeout, not after six times of it.

    queues: output with the queue's URL = the function, as ``load_queue_url="load"``.
    """
    return visibility(pipe, **{output: pipe.timeout_of(function) + 2 for output, function in queues.items()})


@contextmanager
def visibility(pipe: Pipeline, **seconds: int) -> Iterator[None]:
    """Queues (by the outputs with their URLs) with another visibility timeout while the block runs."""
    urls = {output: pipe.stack[output] for output in seconds}
    before = {
        output: pipe.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[_VISIBILITY])["Attributes"]
        for output, url in urls.items()
    }
    for output, url in urls.items():
        pipe.sqs.set_queue_attributes(QueueUrl=url, Attributes={_VISIBILITY: str(seconds[output])})
    try:
        yield
    finally:
        for output, url in urls.items():
            pipe.sqs.set_queue_attributes(QueueUrl=url, Attributes=before[output])
