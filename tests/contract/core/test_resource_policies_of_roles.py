"""With enforcement, what a role may do follows from its own policies and the resource's own.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
"""

import json
import uuid
from typing import Any

import pytest

from tests.support.actor import Actor
from tests.support.deliveries import Rule, Topic, allowing, document, permit
from tests.support.engine_harness import ACCOUNT, Engine, Function, Queue, eventually

ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@pytest.fixture(scope="module")
def actor(engine: Engine) -> Actor:
    return Actor(engine)


class Bucket:
    """A bucket with an object ``in/one`` and a policy."""

    def __init__(self, engine: Engine) -> None:
        self.s3, self.name = engine.client("s3", s3={"addressing_style": "path"}), f"b-{uuid.uuid4().hex[:8]}"
        self.s3.create_bucket(Bucket=self.name)
        self.s3.put_object(Bucket=self.name, Key="in/one", Body=b"x")
        self.objects = f"arn:aws:s3:::{self.name}/*"

    def policy(self, effect: str, principal: Any, action: str, **more: Any) -> None:
        statement = {"Effect": effect, "Principal": principal, "Action": action, "Resource": self.objects, **more}
        self.s3.put_bucket_policy(Bucket=self.name, Policy=document(statement))


@pytest.fixture
def bucket(engine: Engine) -> Bucket:
    return Bucket(engine)


def test_a_bucket_that_denies_denies_who_may_do_everything(engine: Engine, actor: Actor, bucket: Bucket) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html"""
    actor.allow(ANYTHING)
    bucket.policy("Deny", "*", "s3:PutObject")
    refused = actor.does_one("s3", "put_object", Bucket=bucket.name, Key="in/two", Body="x")
    assert refused.startswith("AccessDenied")
    assert "with an explicit deny in a resource-based policy" in refused
    assert actor.does_one("s3", "get_object", Bucket=bucket.name, Key="in/one") == "ok"


def test_the_bucket_that_denies_plain_http_lets_tls_in(engine: Engine, actor: Actor, bucket: Bucket) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html"""
    actor.allow({"Effect": "Allow", "Action": "s3:GetObject", "Resource": bucket.objects})
    bucket.policy("Deny", "*", "s3:*", Condition={"Bool": {"aws:SecureTransport": "false"}})
    assert actor.does_one("s3", "get_object", Bucket=bucket.name, Key="in/one") == "ok"
    bucket.policy("Deny", "*", "s3:*", Condition={"Bool": {"aws:SecureTransport": "true"}})
    assert actor.does_one("s3", "get_object", Bucket=bucket.name, Key="in/one").startswith("AccessDenied")


def test_a_bucket_that_names_the_role_lets_it_in_and_one_that_names_the_account_does_not(
    engine: Engine, actor: Actor, bucket: Bucket
) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-accounts"""
    actor.allow()
    bucket.policy("Allow", {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "s3:GetObject")
    assert actor.does_one("s3", "get_object", Bucket=bucket.name, Key="in/one").startswith("AccessDenied")
    bucket.policy("Allow", {"AWS": actor.arn}, "s3:GetObject")
    assert actor.does_one("s3", "get_object", Bucket=bucket.name, Key="in/one") == "ok"
    assert actor.does_one("s3", "put_object", Bucket=bucket.name, Key="in/two", Body="x").startswith("AccessDenied")
    bucket.policy("Allow", {"AWS": actor.arn + "x"}, "s3:GetObject")
    assert actor.does_one("s3", "get_object", Bucket=bucket.name, Key="in/one").startswith("AccessDenied")


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:PrincipalTag/team": "x"}},
        {"StringNotEquals": {"aws:PrincipalTag/team": "x"}},
        {"StringResembles": {"aws:PrincipalAccount": ACCOUNT}},
        {"ForMostValues:StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
    ],
)
def test_an_unknown_condition_lets_no_allow_hold(
    engine: Engine, actor: Actor, bucket: Bucket, condition: dict[str, Any]
) -> None:
    actor.allow()
    bucket.policy("Allow", {"AWS": actor.arn}, "s3:GetObject", Condition=condition)
    assert actor.does_one("s3", "get_object", Bucket=bucket.name, Key="in/one").startswith("AccessDenied")


def test_a_bucket_that_denies_uploads_without_encryption(engine: Engine, actor: Actor, bucket: Bucket) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms"""
    actor.allow(ANYTHING)
    bucket.policy(
        "Deny", "*", "s3:PutObject", Condition={"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}
    )
    upload = {"Bucket": bucket.name, "Key": "in/two", "Body": "x"}
    assert actor.does_one("s3", "put_object", **upload).startswith("AccessDenied")
    assert actor.does_one("s3", "put_object", **upload, ServerSideEncryption="AES256") == "ok"


def test_a_queue_and_a_function_let_a_role_in_that_they_name(engine: Engine, actor: Actor) -> None:
    actor.allow()
    queue, called = (
        Queue(engine, Policy=""),
        Function(engine, "def handler(event, context):\n    return 1\n", Role=actor.arn),
    )
    send = {"QueueUrl": queue.url, "MessageBody": "x"}
    assert actor.does_one("sqs", "send_message", **send).startswith("AccessDenied")
    statement = {"Effect": "Allow", "Principal": {"AWS": actor.arn}, "Action": "sqs:SendMessage", "Resource": queue.arn}
    queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"Policy": document(statement)})
    assert actor.does_one("sqs", "send_message", **send) == "ok"
    assert queue.depth() == (1, 0)
    assert actor.does_one("lambda", "invoke", FunctionName=called.name).startswith("AccessDeniedException")
    engine.client("lambda").add_permission(
        FunctionName=called.name, StatementId="r", Action="lambda:InvokeFunction", Principal=actor.arn
    )
    assert actor.does_one("lambda", "invoke", FunctionName=called.name) == "ok"


# KMS: https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html


class Key:
    """A customer-managed key with the default policy: the account decides by its identity policies."""

    def __init__(self, engine: Engine) -> None:
        self.kms = engine.client("kms")
        made = self.kms.create_key()["KeyMetadata"]
        self.id, self.arn = made["KeyId"], made["Arn"]
        root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        self.account = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}

    def policy(self, *statements: dict[str, Any]) -> None:
        self.kms.put_key_policy(KeyId=self.id, PolicyName="default", Policy=document(*statements))


def test_a_key_is_used_only_as_its_policy_or_a_grant_says(engine: Engine, actor: Actor) -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html"""
    key = Key(engine)
    use = {"KeyId": key.id, "Plaintext": "x"}
    actor.allow(ANYTHING)
    assert actor.does_one("kms", "encrypt", **use) == "ok"
    key.policy({"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "kms:*", "Resource": "*"})
    assert actor.does_one("kms", "encrypt", **use).startswith("AccessDeniedException")
    actor.allow()
    key.kms.create_grant(KeyId=key.id, GranteePrincipal=actor.arn, Operations=["Encrypt"])
    assert actor.does_one("kms", "encrypt", **use) == "ok"
    assert actor.does_one("kms", "generate_data_key", KeyId=key.id, KeySpec="AES_256").startswith(
        "AccessDeniedException"
    )
    key.policy(key.account)
    assert actor.does_one("kms", "describe_key", KeyId=key.id).startswith("AccessDeniedException")


def test_an_encrypted_queue_gets_from_a_topic_only_with_the_keys_policy(engine: Engine) -> None:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html"""
    key, topic = Key(engine), Topic(engine)
    encrypted = Queue(engine, KmsMasterKeyId=key.arn)
    permit(encrypted, "sns", topic.arn)
    topic.subscribe(encrypted)
    topic.sns.publish(TopicArn=topic.arn, Message="before")
    eventually(lambda: topic.metric("NumberOfNotificationsFailed") == 1, 20, "the failure")
    key.policy(key.account, allowing("sns.amazonaws.com", "kms:GenerateDataKey*", "*"))
    topic.sns.publish(TopicArn=topic.arn, Message="between")
    eventually(lambda: topic.metric("NumberOfNotificationsFailed") == 2, 20, "the second failure")
    key.policy(
        key.account, {**allowing("sns.amazonaws.com", "", "*"), "Action": ["kms:GenerateDataKey*", "kms:Decrypt"]}
    )
    topic.sns.publish(TopicArn=topic.arn, Message="after")
    [message] = eventually(encrypted.receive, 20, "the message")
    assert json.loads(message["Body"])["Message"] == "after"


def test_services_may_not_use_the_keys_that_aws_manages(engine: Engine) -> None:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services"""
    topic, rule = Topic(engine), Rule(engine)
    topic.allow("events.amazonaws.com")
    topic.sns.set_topic_attributes(TopicArn=topic.arn, AttributeName="KmsMasterKeyId", AttributeValue="alias/aws/sns")
    rule.target(topic.arn)
    rule.send({})
    eventually(lambda: rule.metric("FailedInvocations") == 1, 20, "the failure")
    assert topic.inbox.depth() == (0, 0)


def test_eventbridge_publishes_to_a_topic_whose_key_has_a_statement_without_condition(engine: Engine) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions"""
    key, topic, rule = Key(engine), Topic(engine), Rule(engine)
    topic.allow("events.amazonaws.com")
    topic.sns.set_topic_attributes(TopicArn=topic.arn, AttributeName="KmsMasterKeyId", AttributeValue=key.id)
    use = {**allowing("events.amazonaws.com", "", "*"), "Action": ["kms:GenerateDataKey*", "kms:Decrypt"]}
    key.policy(key.account, use | {"Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}})
    rule.target(topic.arn)
    rule.send({})
    eventually(lambda: rule.metric("FailedInvocations") == 1, 20, "the failure")
    key.policy(key.account, use)
    rule.send({"n": 1})
    [message] = eventually(topic.inbox.receive, 20, "the notice")
    assert json.loads(json.loads(message["Body"])["Message"])["detail"] == {"n": 1}
