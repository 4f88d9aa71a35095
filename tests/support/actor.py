"""A function whose role is the test's: what its calls are answered where policies are enforced."""

import json
import uuid
from typing import Any

from tests.support.engine_harness import Engine, Function, call

CODE = """
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
CONFIG = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
def handler(event, context):
    if "Records" in event:
        return
    answers = []
    for service, operation, parameters in event["calls"]:
        try:
            getattr(boto3.client(service, config=CONFIG), operation)(**parameters)
            answers.append("ok")
        except ClientError as error:
            answers.append([error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"],
                            error.response["Error"].get("Message", "")])
    return answers
"""
LOGS = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}


class Actor:
    """A function with a role of its own; ``does`` makes calls in it."""

    def __init__(self, engine: Engine, *statements: dict[str, Any], **options: Any) -> None:
        self.engine, self.iam = engine, engine.client("iam")
        self.role = f"role-{uuid.uuid4().hex[:8]}"
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        self.arn = self.iam.create_role(RoleName=self.role, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        self.allow(*statements)
        self.function = Function(engine, CODE, Role=self.arn, Timeout=20, **options)

    def allow(self, *statements: dict[str, Any]) -> None:
        """These statements and no others (but its log)."""
        document = json.dumps({"Version": "2012-10-17", "Statement": [LOGS, *statements]})
        self.iam.put_role_policy(RoleName=self.role, PolicyName="own", PolicyDocument=document)

    def does(self, *calls: tuple[str, str, dict[str, Any]]) -> list[Any]:
        """For each call "ok" or [code, status, message]."""
        answer = self.function.invoke({"calls": calls})
        assert answer["error"] is None, answer
        found: list[Any] = answer["payload"]
        return found

    def does_one(self, service: str, operation: str, **parameters: Any) -> str:
        """ "ok", or code and message of the refusal."""
        [found] = self.does((service, operation, parameters))
        return found if found == "ok" else f"{found[0]} {found[2]}"

    def used(self) -> set[tuple[str, str]]:
        """What the engine's record says of the role, without its log."""
        status, body = call(self.engine, "GET", "roles")
        assert status == 200
        uses = body["roles"].get(self.arn, [])
        return {(use["action"], use["resource"]) for use in uses if not use["action"].startswith("logs:")}
