"""Saved states: what a service holds is there again in a new engine after the first one was killed."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import ROLE, Function, Queue, eventually
from tests.support.state_keeper import Keeper

ECHO = """
import json
def handler(event, context):
    print(json.dumps(event))
    return {"version": context.function_version, "event": event}
"""


def test_messages_keep_their_bodies_and_their_times(keeper: Keeper) -> None:
    sqs = keeper.client("sqs")
    queue = Queue(keeper.engine, VisibilityTimeout="8")
    queue.send("waiting")
    sqs.send_message(QueueUrl=queue.url, MessageBody="delayed", DelaySeconds=6)
    delayed_until = time.time() + 6
    queue.send("in flight")
    received: list[Any] = []
    while {m["Body"] for m in received} != {"waiting", "in flight"}:
        received += sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10).get("Messages", [])
    visible_at = time.time() + 8
    (waiting,) = [m for m in received if m["Body"] == "waiting"]
    sqs.change_message_visibility(QueueUrl=queue.url, ReceiptHandle=waiting["ReceiptHandle"], VisibilityTimeout=0)

    keeper.again()
    sqs = keeper.client("sqs")
    url = sqs.get_queue_url(QueueName=queue.name)["QueueUrl"]
    seen: dict[str, tuple[float, str]] = {}
    handles = {}
    end = time.time() + 30
    while len(seen) < 3 and time.time() < end:
        for message in sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=60, AttributeNames=["All"]
        ).get("Messages", []):
            seen[message["Body"]] = (time.time(), message["Attributes"]["ApproximateReceiveCount"])
            handles[message["Body"]] = message["ReceiptHandle"]
    assert set(seen) == {"waiting", "delayed", "in flight"}
    assert seen["waiting"][1] == "2"
    assert seen["delayed"][1] == "1"
    assert seen["in flight"][1] == "2"
    assert seen["delayed"][0] >= delayed_until - 0.1
    assert seen["in flight"][0] >= visible_at - 0.1
    for handle in handles.values():
        sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    depths = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert [depths[n] for n in ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")] == ["0", "0"]


def test_objects_keep_content_versions_and_tags(keeper: Keeper) -> None:
    s3 = keeper.client("s3")
    s3.create_bucket(Bucket="plain")
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    large = bytes(range(256)) * 8192
    etags = {
        "small": s3.put_object(Bucket="plain", Key="a/ü =+", Body=b"small", Metadata={"who": "me"})["ETag"],
        "large": s3.put_object(Bucket="plain", Key="large", Body=large, Tagging="a=b")["ETag"],
    }
    first = s3.put_object(Bucket="versioned", Key="k", Body=b"one")["VersionId"]
    second = s3.put_object(Bucket="versioned", Key="k", Body=b"two")["VersionId"]
    upload = s3.create_multipart_upload(Bucket="plain", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="plain", Key="parts", UploadId=upload, PartNumber=1, Body=large * 3)["ETag"]

    saved = keeper.save()
    assert saved["objects"] == 5
    assert keeper.save()["objects"] == 5
    keeper.restart()
    s3 = keeper.client("s3")

    def body(**where: str) -> tuple[bytes, str]:
        found = s3.get_object(**where)
        return found["Body"].read(), found["ETag"]

    assert body(Bucket="plain", Key="a/ü =+") == (b"small", etags["small"])
    assert s3.head_object(Bucket="plain", Key="a/ü =+")["Metadata"] == {"who": "me"}
    assert body(Bucket="plain", Key="large") == (large, etags["large"])
    assert s3.get_object(Bucket="plain", Key="large", Range="bytes=256-511")["Body"].read() == bytes(range(256))
    assert s3.get_object_tagging(Bucket="plain", Key="large")["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert body(Bucket="versioned", Key="k", VersionId=first)[0] == b"one"
    assert body(Bucket="versioned", Key="k", VersionId=second)[0] == b"two"
    done = {"Parts": [{"ETag": part, "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket="plain", Key="parts", UploadId=upload, MultipartUpload=done)
    assert body(Bucket="plain", Key="parts")[0] == large * 3

    # A restored object is overwritten and removed like any other, and what is saved next has the new content.
    s3.put_object(Bucket="plain", Key="large", Body=b"now small")
    s3.delete_object(Bucket="plain", Key="a/ü =+")
    assert body(Bucket="plain", Key="large")[0] == b"now small"
    keeper.again()
    s3 = keeper.client("s3")
    assert body(Bucket="plain", Key="large")[0] == b"now small"
    assert {o["Key"] for o in s3.list_objects_v2(Bucket="plain")["Contents"]} == {"large", "parts"}
    assert body(Bucket="versioned", Key="k", VersionId=first)[0] == b"one"


def test_items_of_a_table_are_there_and_conditions_hold(keeper: Keeper) -> None:
    dynamodb = keeper.client("dynamodb")
    dynamodb.create_table(
        TableName="kept",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": "turned",
                "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    item = {"pk": {"S": "p"}, "sk": {"S": "s"}, "n": {"N": "1.5"}, "l": {"L": [{"M": {"b": {"B": b"\x00"}}}]}}
    dynamodb.put_item(TableName="kept", Item=item)
    write: dict[str, Any] = {"Put": {"TableName": "kept", "Item": item | {"sk": {"S": "s2"}}}}
    dynamodb.transact_write_items(TransactItems=[write], ClientRequestToken="token")
    keeper.again()
    dynamodb = keeper.client("dynamodb")
    assert dynamodb.get_item(TableName="kept", Key={k: item[k] for k in ("pk", "sk")})["Item"] == item
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(TableName="kept", Item=item, ConditionExpression="attribute_not_exists(pk)")
    other: dict[str, Any] = {"Put": {"TableName": "kept", "Item": item | {"sk": {"S": "s3"}}}}
    with pytest.raises(dynamodb.exceptions.IdempotentParameterMismatchException):
        dynamodb.transact_write_items(TransactItems=[other], ClientRequestToken="token")
    found = dynamodb.query(
        TableName="kept",
        IndexName="turned",
        KeyConditionExpression="sk = :s",
        ExpressionAttributeValues={":s": {"S": "s2"}},
    )
    assert found["Count"] == 1


def test_functions_versions_and_mappings_work_again(keeper: Keeper) -> None:
    client = keeper.client("lambda")
    function = Function(keeper.engine, ECHO)
    version = client.publish_version(FunctionName=function.name)["Version"]
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion=version)
    before = client.get_function(FunctionName=function.name)["Configuration"]
    queue = Queue(keeper.engine, VisibilityTimeout="5")
    mapping = client.create_event_source_mapping(EventSourceArn=queue.arn, FunctionName=function.name)["UUID"]
    off = client.create_event_source_mapping(
        EventSourceArn=Queue(keeper.engine).arn, FunctionName=function.name, Enabled=False
    )["UUID"]
    eventually(lambda: client.get_event_source_mapping(UUID=mapping)["State"] == "Enabled", 10, "enabled")
    keeper.again()
    client = keeper.client("lambda")
    after = client.get_function(FunctionName=function.name)["Configuration"]
    assert after == before
    assert client.get_event_source_mapping(UUID=mapping)["State"] == "Enabled"
    assert client.get_event_source_mapping(UUID=off)["State"] == "Disabled"
    answer = json.load(client.invoke(FunctionName=f"{function.name}:live", Payload=b'{"a": 1}')["Payload"])
    assert answer == {"version": version, "event": {"a": 1}}
    sqs = keeper.client("sqs")
    url = sqs.get_queue_url(QueueName=queue.name)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="delivered")
    eventually(lambda: '"body": "delivered"' in keeper.log(function), 20, "the mapping to deliver")


MACHINE: dict[str, Any] = {
    "StartAt": "Before",
    "States": {
        "Before": {"Type": "Pass", "Result": {"kept": [1, "ü"]}, "ResultPath": "$.before", "Next": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": 12, "Next": "Call"},
        "Call": {"Type": "Task", "Resource": "", "ResultPath": "$.answer", "End": True},
    },
}


def _machine(keeper: Keeper, definition: dict[str, Any], name: str) -> str:
    """ARN of a new state machine."""
    made = keeper.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=ROLE
    )
    return str(made["stateMachineArn"])


def test_executions_go_on_where_they_were(keeper: Keeper) -> None:
    function = Function(keeper.engine, "def handler(event, context):\n    return 'called'")
    slow = Function(keeper.engine, "import time\ndef handler(event, context):\n    time.sleep(30)", Timeout=60)
    call = MACHINE["States"]["Call"] | {"Resource": function.arn}
    waiting = _machine(keeper, MACHINE | {"States": MACHINE["States"] | {"Call": call}}, "waiting")
    task = {"StartAt": "Slow", "States": {"Slow": {"Type": "Task", "Resource": slow.arn, "End": True}}}
    in_task = _machine(keeper, task, "task")
    done = {"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "E", "Cause": "because"}}}
    client = keeper.client("stepfunctions")
    ended = client.start_execution(stateMachineArn=_machine(keeper, done, "done"), name="ended")["executionArn"]
    run = client.start_execution(stateMachineArn=waiting, name="run", input='{"in": 1}')["executionArn"]
    interrupted = client.start_execution(stateMachineArn=in_task, name="interrupted")["executionArn"]

    def types(arn: str) -> list[str]:
        return [e["type"] for e in client.get_execution_history(executionArn=arn)["events"]]

    eventually(lambda: "WaitStateEntered" in types(run), 10, "the wait")
    eventually(lambda: client.describe_execution(executionArn=ended)["status"] == "FAILED", 10, "the end")
    eventually(lambda: "LambdaFunctionStarted" in types(interrupted), 10, "the task")
    began = client.get_execution_history(executionArn=run)["events"]
    entered = next(e["timestamp"] for e in began if e["type"] == "WaitStateEntered")
    before = client.get_execution_history(executionArn=ended)["events"]

    saved = keeper.save(drain_seconds=1)
    assert saved["interrupted"] == [f"function {slow.name}", "state Slow"]
    keeper.restart()
    client = keeper.client("stepfunctions")
    assert client.get_execution_history(executionArn=ended)["events"] == before
    assert client.describe_execution(executionArn=ended)["cause"] == "because"
    found = client.describe_execution(executionArn=run)
    assert found["status"] == "RUNNING"
    with pytest.raises(client.exceptions.ExecutionAlreadyExists):
        client.start_execution(stateMachineArn=waiting, name="run", input="{}")
    eventually(lambda: client.describe_execution(executionArn=run)["status"] != "RUNNING", 60, "the end")
    assert client.describe_execution(executionArn=run)["status"] == "SUCCEEDED", types(run)
    output = json.loads(client.describe_execution(executionArn=run)["output"])
    assert output == {"in": 1, "before": {"kept": [1, "ü"]}, "answer": "called"}
    history = client.get_execution_history(executionArn=run)["events"]
    assert history[: len(began)] == began
    assert [e["id"] for e in history] == list(range(1, len(history) + 1))
    left = next(e["timestamp"] for e in history if e["type"] == "WaitStateExited")
    assert (left - entered).total_seconds() >= 11.9
    assert types(interrupted).count("ExecutionRedriven") == 1
    assert types(interrupted).count("TaskStateEntered") == 2


def test_rules_schedules_archives_and_topics(keeper: Keeper) -> None:
    events, queue = keeper.client("events"), Queue(keeper.engine)
    other = Queue(keeper.engine)
    bus = events.create_event_bus(Name="orders")["EventBusArn"]
    events.put_rule(Name="paid", EventBusName="orders", EventPattern=json.dumps({"source": ["shop"]}))
    events.put_targets(Rule="paid", EventBusName="orders", Targets=[{"Id": "q", "Arn": queue.arn}])
    events.put_rule(Name="nightly", ScheduleExpression="cron(0 3 * * ? *)", State="DISABLED")
    events.put_targets(Rule="nightly", Targets=[{"Id": "q", "Arn": queue.arn}])
    events.create_archive(ArchiveName="all", EventSourceArn=bus)
    archive = events.describe_archive(ArchiveName="all")
    sns = keeper.client("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=other.arn, Attributes={"RawMessageDelivery": "true"})
    keeper.again()
    events, sqs, sns = keeper.client("events"), keeper.client("sqs"), keeper.client("sns")
    entry = {"EventBusName": "orders", "Source": "shop", "DetailType": "paid", "Detail": '{"n": 1}'}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    sns.publish(TopicArn=topic, Message="news")

    def body(of: Queue) -> str:
        url = sqs.get_queue_url(QueueName=of.name)["QueueUrl"]
        (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
        return str(message["Body"])

    assert json.loads(body(queue))["detail"] == {"n": 1}
    assert body(other) == "news"
    eventually(lambda: events.describe_archive(ArchiveName="all")["EventCount"] == 1, 10, "the archive")
    after = events.describe_archive(ArchiveName="all")
    assert after["CreationTime"] == archive["CreationTime"]
    assert events.describe_rule(Name="nightly")["State"] == "DISABLED"
    # It can be changed and removed as before.
    events.remove_targets(Rule="paid", EventBusName="orders", Ids=["q"])
    events.delete_rule(Name="paid", EventBusName="orders")


def test_alarms_metrics_and_asynchronous_events(keeper: Keeper) -> None:
    cloudwatch, topic_queue = keeper.client("cloudwatch"), Queue(keeper.engine)
    at = int(time.time()) // 60 * 60
    cloudwatch.put_metric_data(
        Namespace="N", MetricData=[{"MetricName": "m", "Value": v, "Timestamp": at, "Unit": "Count"} for v in (1, 2.5)]
    )
    common: dict[str, Any] = {
        "Namespace": "N",
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 3600,
        "EvaluationPeriods": 1,
    }
    cloudwatch.put_metric_alarm(
        AlarmName="high",
        Threshold=3,
        ComparisonOperator="GreaterThanThreshold",
        **common,
        Tags=[{"Key": "a", "Value": "b"}],
    )
    alarm = eventually(
        lambda: [a for a in cloudwatch.describe_alarms()["MetricAlarms"] if a["StateValue"] == "ALARM"], 20, "the alarm"
    )[0]
    assert topic_queue.depth() == (0, 0)
    # Fails once, and is tried again after the base delay.
    code = "def handler(event, context):\n    print('tried', event['n'])\n    raise ValueError(event['n'])"
    function = Function(keeper.engine, code)
    keeper.client("lambda").put_function_event_invoke_config(
        FunctionName=function.name, DestinationConfig={"OnFailure": {"Destination": topic_queue.arn}}
    )
    function.send({"n": 77})
    eventually(lambda: function.starts() == 1, 15, "the first try")
    keeper.save()
    keeper.restart()
    cloudwatch = keeper.client("cloudwatch")
    (after,) = cloudwatch.describe_alarms(AlarmNames=["high"])["MetricAlarms"]
    assert after == alarm
    found = cloudwatch.get_metric_statistics(
        Namespace="N",
        MetricName="m",
        StartTime=at,
        EndTime=at + 60,
        Period=60,
        Statistics=["Sum", "SampleCount", "Maximum"],
    )["Datapoints"]
    assert [(d["Sum"], d["SampleCount"], d["Maximum"], d["Unit"]) for d in found] == [(3.5, 2, 2.5, "Count")]
    # LAMBDA_RETRY_BASE_DELAY is 1 s: three tries altogether, before and after. Then the event goes to its destination.
    sqs = keeper.client("sqs")
    url = sqs.get_queue_url(QueueName=topic_queue.name)["QueueUrl"]
    (exhausted,) = eventually(
        lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages"), 30, "its end"
    )
    assert json.loads(exhausted["Body"])["requestContext"]["approximateInvokeCount"] == 3
    eventually(lambda: keeper.log(function).count("tried 77") == 3, 10, "the tries")


def test_a_fifo_queue_has_its_groups_order_and_duplicates(keeper: Keeper) -> None:
    sqs = keeper.client("sqs")
    url = sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "60"})["QueueUrl"]

    def send(body: str, group: str) -> str:
        sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=body)
        return str(sent["SequenceNumber"])

    numbers = [send(body, body[0]) for body in ("a1", "a2", "b1", "b2")]
    (held,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)["Messages"]
    assert held["Body"] == "a1"
    keeper.again()
    sqs = keeper.client("sqs")
    url = sqs.get_queue_url(QueueName="q.fifo")["QueueUrl"]
    send("b1", "b")  # a duplicate
    numbers.append(send("a3", "a"))
    assert numbers == sorted(numbers)
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [m["Body"] for m in received] == ["b1", "b2"]  # group a waits for the message in flight
    sqs.delete_message(QueueUrl=url, ReceiptHandle=held["ReceiptHandle"])
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2)["Messages"]
    assert [m["Body"] for m in received] == ["a2", "a3"]


def test_secrets_keys_roles_networks_and_logs(keeper: Keeper) -> None:
    kms, secrets, iam = keeper.client("kms"), keeper.client("secretsmanager"), keeper.client("iam")
    key = kms.create_key(Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/k", TargetKeyId=key)
    cipher = kms.encrypt(KeyId="alias/k", Plaintext=b"plain")["CiphertextBlob"]
    secrets.create_secret(Name="s", SecretString="one")
    version = secrets.put_secret_value(SecretId="s", SecretString="two")["VersionId"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(policy))
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(policy))
    ec2, logs = keeper.client("ec2"), keeper.client("logs")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    logs.create_log_group(logGroupName="g")
    logs.put_retention_policy(logGroupName="g", retentionInDays=7)
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    at = int(time.time() * 1000)
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": at, "message": "line"}])
    groups = logs.describe_log_groups(logGroupNamePrefix="g")["logGroups"]
    role = iam.get_role(RoleName="r")["Role"]

    first = keeper.save()
    keeper.restart()
    second = keeper.save()
    assert (second["services"], second["backends"]) == (first["services"], first["backends"])
    keeper.restart()
    kms, secrets, iam = keeper.client("kms"), keeper.client("secretsmanager"), keeper.client("iam")
    assert kms.decrypt(CiphertextBlob=cipher)["Plaintext"] == b"plain"
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "a", "TagValue": "b"}]
    found = secrets.get_secret_value(SecretId="s")
    assert (found["SecretString"], found["VersionId"]) == ("two", version)
    assert secrets.get_secret_value(SecretId="s", VersionStage="AWSPREVIOUS")["SecretString"] == "one"
    assert iam.get_role(RoleName="r")["Role"] == role
    assert iam.get_role_policy(RoleName="r", PolicyName="p")["PolicyDocument"] == policy
    ec2, logs = keeper.client("ec2"), keeper.client("logs")
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"] == vpc
    assert logs.describe_log_groups(logGroupNamePrefix="g")["logGroups"] == groups
    events = logs.get_log_events(logGroupName="g", logStreamName="s")["events"]
    assert [(e["timestamp"], e["message"]) for e in events] == [(at, "line")]


def test_a_function_whose_runtime_is_gone_says_so_and_works_when_it_is_back(keeper: Keeper, tmp_path: Path) -> None:
    name = Function(keeper.engine, ECHO).name
    keeper.save()
    keeper.restart(SLUICE_LAMBDA_RUNTIMES=str(tmp_path / "none"))

    def invoke() -> Any:
        answer = keeper.client("lambda").invoke(FunctionName=name, Payload=b"{}")
        return json.load(answer["Payload"])

    assert keeper.client("lambda").get_function(FunctionName=name)["Configuration"]["State"] == "Active"
    try:
        said = json.dumps(invoke())
    except ClientError as error:
        said = str(error)
    assert "python3.13" in said
    keeper.again()
    assert invoke()["event"] == {}
