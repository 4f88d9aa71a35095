"""Who may do what: the record of what roles use, and their policies enforced."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.actor import Actor
from tests.support.engine_harness import Engine, Queue, call, eventually

Make = Callable[..., Any]


@pytest.fixture
def bucket(engine: Engine) -> str:
    name = f"b-{uuid.uuid4().hex[:8]}"
    s3 = engine.client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="in/one", Body=b"x")
    return name


def get(bucket: str, key: str, **more: str) -> tuple[str, str, dict[str, Any]]:
    return "s3", "get_object", {"Bucket": bucket, "Key": key, **more}


def put(bucket: str, key: str) -> tuple[str, str, dict[str, Any]]:
    return "s3", "put_object", {"Bucket": bucket, "Key": key, "Body": "x"}


def test_what_no_policy_allows_is_refused_and_does_nothing(engine: Engine, bucket: str) -> None:
    actor = Actor(engine)
    name = f"arn:aws:s3:::{bucket}/in/two"
    session = f"arn:aws:sts::000000000000:assumed-role/{actor.role}/{actor.function.name}"
    why = f'User: {session} is not authorized to perform: s3:PutObject on resource: "{name}" because no '
    assert actor.does(put(bucket, "in/two")) == [
        ["AccessDenied", 403, why + "identity-based policy allows the s3:PutObject action"]
    ]
    listed = engine.client("s3", s3={"addressing_style": "path"}).list_objects_v2(Bucket=bucket)["Contents"]
    assert [item["Key"] for item in listed] == ["in/one"]


def test_a_wildcard_allows_what_it_covers_and_nothing_beside_it(engine: Engine, bucket: str) -> None:
    actor = Actor(
        engine, {"Effect": "Allow", "Action": ["s3:Get*", "S3:putobject"], "Resource": f"arn:aws:s3:::{bucket}/in/*"}
    )
    answers = actor.does(get(bucket, "in/one"), put(bucket, "in/deep/two"), put(bucket, "out/one"))
    assert answers[:2] == ["ok", "ok"]
    assert answers[2][:2] == ["AccessDenied", 403]
    assert f"arn:aws:s3:::{bucket}/out/one" in answers[2][2]


def test_an_explicit_deny_wins(engine: Engine, bucket: str) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    secret = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/in/one"}
    [answer] = Actor(engine, everything, secret).does(get(bucket, "in/one"))
    assert answer[0] == "AccessDenied"
    assert "explicit deny" in answer[2]


def test_conditions_are_heard_and_the_gateway_counts_as_tls(engine: Engine, bucket: str) -> None:
    anything = {"Action": "s3:*", "Resource": "*"}
    tls_only = anything | {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    here = anything | {"Effect": "Allow", "Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}}
    there = anything | {"Effect": "Allow", "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}
    actor = Actor(engine, tls_only, here)
    assert actor.does(get(bucket, "in/one")) == ["ok"]
    actor.allow(there)
    assert actor.does(get(bucket, "in/one"))[0][0] == "AccessDenied"


def test_an_attached_policy_counts_and_a_change_holds_at_once(engine: Engine, bucket: str) -> None:
    actor = Actor(engine)
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = actor.iam.create_policy(
        PolicyName=f"p-{uuid.uuid4().hex[:8]}",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement}),
    )["Policy"]["Arn"]
    assert actor.does(get(bucket, "in/one"))[0][0] == "AccessDenied"
    actor.iam.attach_role_policy(RoleName=actor.role, PolicyArn=policy)
    assert actor.does(get(bucket, "in/one")) == ["ok"]
    actor.iam.detach_role_policy(RoleName=actor.role, PolicyArn=policy)
    assert actor.does(get(bucket, "in/one"))[0][0] == "AccessDenied"


def test_reading_a_version_needs_the_right_to_versions(engine: Engine, bucket: str) -> None:
    s3 = engine.client("s3", s3={"addressing_style": "path"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="in/one", Body=b"y")["VersionId"]
    objects = f"arn:aws:s3:::{bucket}/in/*"
    actor = Actor(engine, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": objects})
    plain, of_version = get(bucket, "in/one"), get(bucket, "in/one", VersionId=version)
    assert [answer[0] for answer in actor.does(of_version)] == ["AccessDenied"]
    assert actor.does(plain) == ["ok"]
    actor.allow({"Effect": "Allow", "Action": "s3:GetObjectVersion", "Resource": objects})
    assert actor.does(of_version) == ["ok"]


def test_a_missing_object_is_404_only_for_those_who_may_list(engine: Engine, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    actor = Actor(engine, read)
    missing = get(bucket, "in/none")
    assert actor.does(missing)[0][:2] == ["AccessDenied", 403]
    actor.allow(read, {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"})
    assert actor.does(missing)[0][:2] == ["NoSuchKey", 404]


def test_each_service_refuses_in_its_own_words(engine: Engine) -> None:
    queue = Queue(engine)
    topic = engine.client("sns").create_topic(Name=f"t-{uuid.uuid4().hex[:8]}")["TopicArn"]
    machine = "arn:aws:states:us-east-1:000000000000:stateMachine:none"
    calls: dict[str, tuple[str, str, dict[str, Any]]] = {
        "AccessDenied 403": ("sqs", "send_message", {"QueueUrl": queue.url, "MessageBody": "x"}),
        "AuthorizationError 403": ("sns", "publish", {"TopicArn": topic, "Message": "x"}),
        "AccessDeniedException 400": ("dynamodb", "get_item", {"TableName": "t", "Key": {"k": {"S": "x"}}}),
        "AccessDeniedException 400 ": ("events", "put_events", {"Entries": [{"Source": "s", "Detail": "{}"}]}),
        "AccessDeniedException 400  ": ("stepfunctions", "start_execution", {"stateMachineArn": machine}),
        "AccessDeniedException 403": ("lambda", "invoke", {"FunctionName": "none"}),
    }
    answers = Actor(engine).does(*calls.values())
    assert [f"{code} {status}" for code, status, _ in answers] == [name.strip() for name in calls]
    assert queue.depth() == (0, 0)


def test_a_transaction_is_allowed_by_the_actions_of_its_writes(engine: Engine) -> None:
    name = f"t-{uuid.uuid4().hex[:8]}"
    engine.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}"
    write = {"Put": {"TableName": name, "Item": {"k": {"S": "a"}}}}
    remove = {"Delete": {"TableName": name, "Key": {"k": {"S": "b"}}}}
    actor = Actor(engine, {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": arn})
    both = ("dynamodb", "transact_write_items", {"TransactItems": [write, remove]})
    one = ("dynamodb", "transact_write_items", {"TransactItems": [write]})
    refused, done = actor.does(both, one)
    assert refused[0] == "AccessDeniedException"
    assert "dynamodb:DeleteItem" in refused[2]
    assert done == "ok"
    assert actor.used() == {("dynamodb:PutItem", arn), ("dynamodb:DeleteItem", arn)}


def test_a_mapping_is_refused_when_the_role_may_not_receive(engine: Engine) -> None:
    queue, actor = Queue(engine), Actor(engine)
    client = engine.client("lambda")
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="permissions to call ReceiveMessage"):
        client.create_event_source_mapping(EventSourceArn=queue.arn, FunctionName=actor.function.name)
    poll = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    actor.allow({"Effect": "Allow", "Action": poll, "Resource": queue.arn})
    made = client.create_event_source_mapping(EventSourceArn=queue.arn, FunctionName=actor.function.name)["UUID"]
    queue.send("x")
    eventually(lambda: actor.function.starts() == 1, 20, "the message to be delivered")
    eventually(lambda: queue.depth() == (0, 0), 10, "the message to be deleted")
    client.delete_event_source_mapping(UUID=made)
    assert actor.used() == {(action, queue.arn) for action in poll}


def test_a_role_that_may_not_write_logs_leaves_none(engine: Engine) -> None:
    silent, loud = Actor(engine), Actor(engine)
    silent.iam.delete_role_policy(RoleName=silent.role, PolicyName="own")
    assert silent.does() == []
    assert loud.does() == []
    eventually(loud.function.log, 10, "the log of the one that may write")
    assert silent.function.log() == []


def test_a_state_machine_works_with_its_own_role(engine: Engine) -> None:
    queue, states, iam = Queue(engine), engine.client("stepfunctions"), engine.client("iam")
    name = f"machine-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    send = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": queue.url, "MessageBody": "x"},
        "End": True,
    }
    definition = json.dumps({"StartAt": "Send", "States": {"Send": send}})
    machine = states.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"]

    def outcome() -> dict[str, Any]:
        started = states.start_execution(stateMachineArn=machine)["executionArn"]

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = states.describe_execution(executionArn=started)
            return found if found["status"] != "RUNNING" else None

        return eventually(ended, 20, "the execution to end") or {}

    refused = outcome()
    assert refused["status"] == "FAILED"
    assert "is not authorized to perform: sqs:SendMessage" in refused["cause"]
    assert queue.depth() == (0, 0)
    allow = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue.arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    assert outcome()["status"] == "SUCCEEDED"
    assert queue.depth() == (1, 0)
    [use] = call(engine, "GET", "roles")[1]["roles"][role]
    assert use == {"action": "sqs:SendMessage", "resource": queue.arn, "keys": {}, "count": 2, "refused": 1}


def test_calls_of_other_callers_are_not_looked_at(engine: Engine, bucket: str) -> None:
    """Terraform's, the tests' and yours: only functions and services of the engine are held to their roles."""
    assert engine.client("s3", s3={"addressing_style": "path"}).list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_without_enforcement_uses_are_recorded_and_nothing_is_refused(recording: Engine) -> None:
    engine = recording
    queue, actor = Queue(engine), Actor(engine)
    entries = [{"Id": "1", "MessageBody": "x"}]
    sends = ("sqs", "send_message_batch", {"QueueUrl": queue.url, "Entries": entries})
    assert actor.does(sends, ("sts", "get_caller_identity", {})) == ["ok", "ok"]
    assert actor.used() == {("sqs:SendMessage", queue.arn)}
    body = call(engine, "GET", "roles")[1]
    assert {use["refused"] for use in body["roles"][actor.arn]} == {0}
    assert body["dropped"] == 0
    assert call(engine, "GET", "health")[1]["iam"] == "recorded"


def test_an_engine_without_the_setting_has_no_record(tmp_path_factory: pytest.TempPathFactory) -> None:
    plain = Engine(tmp_path_factory.mktemp("plain"))
    try:
        status, body = call(plain, "GET", "roles")
        assert status == 403
        assert "SLUICE_IAM" in body["error"]
        assert call(plain, "GET", "health")[1]["iam"] == "off"
    finally:
        plain.stop()


def test_who_gives_glue_a_role_must_be_allowed_to_pass_it(engine: Engine) -> None:
    iam, name = engine.client("iam"), f"given-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    command = {"Name": "pythonshell", "ScriptLocation": "s3://some/script.py"}
    job = ("glue", "create_job", {"Name": name, "Role": arn, "Command": command})
    targets = {"S3Targets": [{"Path": "s3://some/folder/"}]}
    crawler = ("glue", "create_crawler", {"Name": name, "Role": name, "DatabaseName": "d", "Targets": targets})
    create = {"Effect": "Allow", "Action": ["glue:CreateJob", "glue:CreateCrawler"], "Resource": "*"}
    actor = Actor(engine, create)
    for answer in actor.does(job, crawler):
        assert answer[0] == "AccessDeniedException"
        assert f'not authorized to perform: iam:PassRole on resource: "{arn}"' in answer[2]
    condition = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": arn}
    actor.allow(create, passing | {"Condition": condition})
    assert [answer[0] for answer in actor.does(job, crawler)] == ["AccessDeniedException"] * 2
    actor.allow(create, passing | {"Condition": {"StringEquals": {"iam:PassedToService": "glue.amazonaws.com"}}})
    assert actor.does(job, crawler) == ["ok", "ok"]


def test_metrics_are_published_in_the_namespace_that_a_condition_names(engine: Engine) -> None:
    end = uuid.uuid4().hex[:8]
    names = [f"{name}-{end}" for name in ("own", "Own", "other")]
    own = {"StringEquals": {"cloudwatch:namespace": names[0]}}
    actor = Actor(engine, {"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*", "Condition": own})
    data = [{"MetricName": "m", "Value": 1.0}]
    answers = actor.does(
        *(("cloudwatch", "put_metric_data", {"Namespace": name, "MetricData": data}) for name in names)
    )
    assert answers[0] == "ok"
    assert [answer[0] for answer in answers[1:]] == ["AccessDeniedException"] * 2, answers
    pages = engine.client("cloudwatch").get_paginator("list_metrics").paginate()
    assert {one["Namespace"] for page in pages for one in page["Metrics"]} & set(names) == {names[0]}
    _, record = call(engine, "GET", "roles")
    uses = [use for use in record["roles"][actor.arn] if use["action"] == "cloudwatch:PutMetricData"]
    refused = {use["keys"]["cloudwatch:namespace"]: use["refused"] for use in uses}
    assert refused == dict(zip(names, (0, 1, 1), strict=True))
