"""With enforcement, a service delivers only what the target's own policy and the policy of its key let it deliver."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.deliveries import Rule, Topic, denying, permit
from tests.support.engine_harness import ACCOUNT, Engine, Function, Queue, eventually

HANDLER = "def handler(event, context):\n    print('GOT', event)\n"
PATH_STYLE = {"addressing_style": "path"}


def bodies(queue: Queue) -> list[Any]:
    """What the queue has received by now."""
    return [json.loads(message["Body"]) for message in queue.receive()]


def arrives(queue: Queue, what: Callable[[Any], bool]) -> None:
    eventually(lambda: any(what(body) for body in bodies(queue)), 20, "the message to arrive")


# EventBridge: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html


def test_a_queue_without_a_policy_gets_no_events_and_the_rule_counts_it(engine: Engine) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions"""
    queue, dead, rule = Queue(engine, Policy=""), Queue(engine, Policy=""), Rule(engine)
    permit(dead, "events", rule.arn)
    rule.target(queue.arn, DeadLetterConfig={"Arn": dead.arn})
    event = rule.send({"n": 1})
    [message] = eventually(dead.receive, 20, "the dead-letter message")
    assert json.loads(message["Body"])["id"] == event
    assert json.loads(message["Body"])["detail"] == {"n": 1}
    attributes = rule.dead_letter_attributes(message)
    assert attributes.pop("ERROR_MESSAGE").startswith("events.amazonaws.com")
    assert attributes == {"RULE_ARN": rule.arn, "TARGET_ARN": queue.arn, "ERROR_CODE": "NO_PERMISSIONS"}
    assert rule.metric("FailedInvocations") == 1
    assert rule.metric("InvocationsSentToDlq") == 1
    assert rule.metric("RetryInvocationAttempts") == 0
    assert queue.depth() == (0, 0)


def test_a_queue_takes_events_of_the_rule_that_its_policy_names_and_of_no_other(engine: Engine) -> None:
    queue, named, other = Queue(engine, Policy=""), Rule(engine), Rule(engine)
    permit(queue, "events", named.arn)
    for rule in (named, other):
        rule.target(queue.arn)
    other.send({"from": "other"})
    eventually(lambda: other.metric("FailedInvocations") == 1, 20, "the other rule's failure")
    named.send({"from": "named"})
    [body] = eventually(lambda: bodies(queue), 20, "the event")
    assert body["detail"] == {"from": "named"}
    assert named.metric("FailedInvocations") == 0


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        {"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/*"}},
        {"Bool": {"aws:SecureTransport": "true"}},
    ],
)
def test_eventbridge_meets_no_condition_of_a_topics_policy(engine: Engine, condition: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions"""
    topic, dead, rule = Topic(engine), Queue(engine, Policy=""), Rule(engine)
    permit(dead, "events", rule.arn)
    topic.allow("events.amazonaws.com", Condition=condition)
    rule.target(topic.arn, DeadLetterConfig={"Arn": dead.arn})
    rule.send({"n": 1})
    [message] = eventually(dead.receive, 20, "the dead-letter message")
    assert rule.dead_letter_attributes(message)["ERROR_CODE"] == "NO_PERMISSIONS"
    assert topic.inbox.depth() == (0, 0)


def test_eventbridge_publishes_with_a_plain_statement_beside_one_that_denies_plain_http(engine: Engine) -> None:
    topic, rule = Topic(engine), Rule(engine)
    topic.allow("events.amazonaws.com", denying("sns:Publish", topic.arn, {"Bool": {"aws:SecureTransport": "false"}}))
    rule.target(topic.arn)
    rule.send({"n": 2})
    arrives(topic.inbox, lambda body: bool(json.loads(body["Message"])["detail"] == {"n": 2}))
    assert rule.metric("FailedInvocations") == 0


def test_the_default_policy_of_a_topic_lets_alarms_in_and_rules_not(engine: Engine) -> None:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html#source-account-versus-source-owner"""
    topic, rule, cloudwatch = Topic(engine), Rule(engine), engine.client("cloudwatch")
    name = f"a-{uuid.uuid4().hex[:8]}"
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold", AlarmActions=[topic.arn],
    )  # fmt: skip
    rule.target(topic.arn)
    rule.send({})
    eventually(lambda: rule.metric("FailedInvocations") == 1, 20, "the failure")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    arrives(topic.inbox, lambda body: bool(json.loads(body["Message"])["AlarmName"] == name))


def test_an_alarm_that_may_not_publish_does_the_other_actions(engine: Engine) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions.html"""
    closed, opened, cloudwatch = Topic(engine), Topic(engine), engine.client("cloudwatch")
    closed.allow("events.amazonaws.com")
    opened.allow("cloudwatch.amazonaws.com", Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})
    name = f"a-{uuid.uuid4().hex[:8]}"
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold", AlarmActions=[closed.arn, opened.arn],
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    arrives(opened.inbox, lambda body: bool(json.loads(body["Message"])["AlarmName"] == name))
    assert closed.inbox.depth() == (0, 0)


def test_a_rule_invokes_a_function_with_a_permission_for_it_and_not_without(engine: Engine) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-lambda-permissions"""
    function, named, other = Function(engine, HANDLER, Role=role(engine)), Rule(engine), Rule(engine)
    engine.client("lambda").add_permission(
        FunctionName=function.name, StatementId="rule", Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com", SourceArn=named.arn,
    )  # fmt: skip
    for rule in (named, other):
        rule.target(function.arn)
    other.send({"from": "other"})
    eventually(lambda: other.metric("FailedInvocations") == 1, 20, "the failure")
    named.send({"from": "named"})
    eventually(lambda: any("'from': 'named'" in line for line in function.log()), 20, "the invocation")
    assert not any("'from': 'other'" in line for line in function.log())


def test_a_permission_of_a_function_is_none_for_its_alias(engine: Engine) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html"""
    function, rule = Function(engine, HANDLER, Role=role(engine)), Rule(engine)
    client = engine.client("lambda")
    version = client.publish_version(FunctionName=function.name)["Version"]
    alias = client.create_alias(FunctionName=function.name, Name="live", FunctionVersion=version)["AliasArn"]
    client.add_permission(
        FunctionName=function.name, StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    rule.target(alias)
    rule.send({})
    eventually(lambda: rule.metric("FailedInvocations") == 1, 20, "the failure")
    client.add_permission(
        FunctionName=function.name, Qualifier="live", StatementId="s", Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )  # fmt: skip
    rule.send({})
    eventually(lambda: any("GOT" in line for line in function.log()), 20, "the invocation")


def test_the_role_of_a_target_has_to_trust_eventbridge(engine: Engine) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-identity-based.html"""
    queue, dead, rule = Queue(engine, Policy=""), Queue(engine, Policy=""), Rule(engine)
    permit(dead, "events", rule.arn)
    rule.target(queue.arn, RoleArn=role(engine), DeadLetterConfig={"Arn": dead.arn})
    rule.send({})
    [message] = eventually(dead.receive, 20, "the dead-letter message")
    assert rule.dead_letter_attributes(message)["ERROR_CODE"] == "FAILED_TO_ASSUME_ROLE"


def test_a_dead_letter_queue_that_does_not_let_the_rule_in_gets_nothing(engine: Engine) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-dlq-perms"""
    queue, dead, rule = Queue(engine, Policy=""), Queue(engine, Policy=""), Rule(engine)
    rule.target(queue.arn, DeadLetterConfig={"Arn": dead.arn})
    rule.send({})
    eventually(lambda: rule.metric("InvocationsFailedToBeSentToDlq") == 1, 20, "the metric")
    assert dead.depth() == (0, 0)
    assert rule.metric("InvocationsSentToDlq") == 0


# SNS: https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html


def test_a_topic_delivers_to_a_queue_whose_policy_names_it_and_to_no_other(engine: Engine) -> None:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html: a missing permission is not retried."""
    topic, closed, dead = Topic(engine), Queue(engine, Policy=""), Queue(engine, Policy="")
    permit(dead, "sns", topic.arn)
    topic.subscribe(closed, RedrivePolicy=json.dumps({"deadLetterTargetArn": dead.arn}))
    engine.client("sns").publish(TopicArn=topic.arn, Message="m")
    arrives(topic.inbox, lambda body: bool(body["Message"] == "m"))
    arrives(dead, lambda body: bool(body["Message"] == "m"))
    assert closed.depth() == (0, 0)
    assert topic.metric("NumberOfNotificationsFailed") == 1
    assert topic.metric("NumberOfNotificationsDelivered") == 1
    assert topic.metric("NumberOfNotificationsRedrivenToDlq") == 1


def test_a_topic_invokes_a_function_only_with_a_permission(engine: Engine) -> None:
    """https://docs.aws.amazon.com/sns/latest/dg/lambda-console.html"""
    topic, function = Topic(engine), Function(engine, HANDLER, Role=role(engine))
    sns = engine.client("sns")
    sns.subscribe(TopicArn=topic.arn, Protocol="lambda", Endpoint=function.arn)
    sns.publish(TopicArn=topic.arn, Message="before")
    eventually(lambda: topic.metric("NumberOfNotificationsFailed") == 1, 20, "the failure")
    engine.client("lambda").add_permission(
        FunctionName=function.name, StatementId="t", Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com", SourceArn=topic.arn,
    )  # fmt: skip
    sns.publish(TopicArn=topic.arn, Message="after")
    eventually(lambda: any("'after'" in line for line in function.log()), 20, "the invocation")
    assert not any("'before'" in line for line in function.log())


# S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html


@pytest.fixture
def bucket(engine: Engine) -> str:
    name = f"b-{uuid.uuid4().hex[:8]}"
    engine.client("s3", s3=PATH_STYLE).create_bucket(Bucket=name)
    return name


def test_a_bucket_may_not_name_a_destination_that_does_not_let_it_send(engine: Engine, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html"""
    s3, queue, topic = engine.client("s3", s3=PATH_STYLE), Queue(engine, Policy=""), Topic(engine)
    function = Function(engine, HANDLER, Role=role(engine))
    for kind, destination in (
        ("Queue", {"QueueArn": queue.arn}),
        ("Topic", {"TopicArn": topic.arn}),
        ("LambdaFunction", {"LambdaFunctionArn": function.arn}),
    ):
        configuration = {f"{kind}Configurations": [destination | {"Events": ["s3:ObjectCreated:*"]}]}
        with pytest.raises(ClientError) as refused:
            s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
        assert refused.value.response["Error"]["Code"] == "InvalidArgument"
        assert "Unable to validate the following destination configurations" in str(refused.value)
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)


def test_a_bucket_sends_to_a_queue_that_names_it_as_long_as_it_does(engine: Engine, bucket: str) -> None:
    s3, queue = engine.client("s3", s3=PATH_STYLE), Queue(engine, Policy="")
    permit(queue, "s3", f"arn:aws:s3:::{bucket}")
    configuration = {"QueueConfigurations": [{"QueueArn": queue.arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    s3.put_object(Bucket=bucket, Key="one", Body=b"x")
    arrives(queue, lambda body: bool("Records" in body and body["Records"][0]["s3"]["object"]["key"] == "one"))
    permit(queue, "s3", "arn:aws:s3:::another")
    s3.put_object(Bucket=bucket, Key="two", Body=b"x")
    permit(queue, "s3", f"arn:aws:s3:::{bucket}")
    s3.put_object(Bucket=bucket, Key="three", Body=b"x")
    keys: list[str] = []

    def three_is_there() -> bool:
        keys.extend(body["Records"][0]["s3"]["object"]["key"] for body in bodies(queue))
        return "three" in keys

    eventually(three_is_there, 20, "the third object's event")


def test_a_bucket_invokes_a_function_with_a_permission_of_its_account(engine: Engine, bucket: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/permissions-function-services.html"""
    s3, function = engine.client("s3", s3=PATH_STYLE), Function(engine, HANDLER, Role=role(engine))
    client = engine.client("lambda")
    options = {
        "FunctionName": function.name, "StatementId": "b", "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com", "SourceArn": f"arn:aws:s3:::{bucket}", "SourceAccount": ACCOUNT,
    }  # fmt: skip
    client.add_permission(**options)
    configuration = {
        "LambdaFunctionConfigurations": [{"LambdaFunctionArn": function.arn, "Events": ["s3:ObjectCreated:*"]}]
    }
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    client.remove_permission(FunctionName=function.name, StatementId="b")
    client.add_permission(**options | {"SourceAccount": "111111111111"})
    s3.put_object(Bucket=bucket, Key="foreign", Body=b"x")
    eventually(lambda: "foreign" in engine.log.read_text(), 20, "the engine's word about it")
    client.remove_permission(FunctionName=function.name, StatementId="b")
    client.add_permission(**options)
    s3.put_object(Bucket=bucket, Key="own", Body=b"x")
    eventually(lambda: any("'own'" in line for line in function.log()), 20, "the invocation")
    assert not any("'foreign'" in line for line in function.log())


def role(engine: Engine) -> str:
    """A role of Lambda's that may write logs."""
    name, iam = f"r-{uuid.uuid4().hex[:8]}", engine.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn: str = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    logs = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}
    iam.put_role_policy(
        RoleName=name, PolicyName="own", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [logs]})
    )
    return arn
