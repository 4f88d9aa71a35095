"""Terraform's own provider makes, changes and removes groups and schedules here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.infra.planning import environment, one_provider, terraform
from tests.support.engine_harness import Engine, Queue
from tests.support.schedules import Clock, bodies

PROVIDER = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
variable "queue" {}
variable "failed" {}
variable "input" {}
provider "aws" {
  region                      = "us-east-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    iam       = "%(url)s"
    scheduler = "%(url)s"
  }
}
resource "aws_iam_role" "this" {
  name               = "terraform-scheduler"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "scheduler.amazonaws.com" } }]
  })
}
resource "aws_iam_role_policy" "this" {
  role   = aws_iam_role.this.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sqs:SendMessage", Resource = [var.queue, var.failed] }]
  })
}
resource "aws_scheduler_schedule_group" "this" {
  name = "terraform"
  tags = { a = "b" }
}
resource "aws_scheduler_schedule" "monthly" {
  name                         = "monthly"
  group_name                   = aws_scheduler_schedule_group.this.name
  description                  = "each month"
  schedule_expression          = "cron(0 6 1 * ? *)"
  schedule_expression_timezone = "America/New_York"
  start_date                   = "2030-01-01T00:00:00Z"
  end_date                     = "2030-03-31T00:00:00Z"
  state                        = "ENABLED"
  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }
  target {
    arn      = var.queue
    role_arn = aws_iam_role.this.arn
    input    = var.input
    retry_policy {
      maximum_event_age_in_seconds = 600
      maximum_retry_attempts       = 3
    }
    dead_letter_config { arn = var.failed }
  }
}
resource "aws_scheduler_schedule" "any" {
  name                = "any"
  schedule_expression = "rate(30 days)"
  state               = "DISABLED"
  flexible_time_window { mode = "OFF" }
  target {
    arn      = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"
    role_arn = aws_iam_role.this.arn
    input    = jsonencode({ QueueUrl = "http://queue", MessageBody = "x" })
  }
}
"""


class Stack:
    """The configuration above in a folder of its own, which is initialized."""

    def __init__(self, folder: Path, queue: Queue, failed: Queue, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self._queues = {"queue": queue.arn, "failed": failed.arn}
        self._environment = variables

    def run(self, *words: str, text: str = "one") -> subprocess.CompletedProcess[str]:
        given = self._queues | {"input": text}
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(given))
        done = terraform(self.folder, words[0], "-input=false", "-no-color", *words[1:], env=self._environment)
        assert done.returncode in (0, 2), done.stderr + done.stdout
        return done

    def changes(self, text: str = "one") -> bool:
        """Whether a plan would change anything."""
        return self.run("plan", "-detailed-exitcode", text=text).returncode == 2


@pytest.fixture
def variables(engine: Engine, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Terraform's, in a folder with the configuration above; one provider serves all of its runs."""
    (tmp_path / "main.tf").write_text(PROVIDER % {"url": engine.url})
    own = environment(tmp_path)
    made = terraform(tmp_path, "init", "-input=false", "-no-color", env=own)
    assert made.returncode == 0, made.stderr
    with one_provider(tmp_path, own) as attached:
        yield attached


@pytest.mark.timeout(300)
@pytest.mark.thorough(
    "tests/e2e/afterwards/test_afterwards.py::test_a_second_plan_after_apply_is_empty",
    "tests/contract/scheduler/test_scheduler.py::test_an_update_replaces_everything_that_is_not_given",
    why="the stack has schedules, applied and planned by the same provider; their calls are tried one by one",
)
def test_apply_second_plan_change_and_destroy(engine: Engine, tmp_path: Path, variables: dict[str, str]) -> None:
    to, failed, api = Queue(engine), Queue(engine), engine.client("scheduler")
    stack = Stack(tmp_path, to, failed, variables)
    stack.run("apply", "-auto-approve")
    assert not stack.changes()
    shown: Any = api.get_schedule(Name="monthly", GroupName="terraform")
    assert (shown["Target"]["RetryPolicy"], shown["Target"]["DeadLetterConfig"]) == (
        {"MaximumEventAgeInSeconds": 600, "MaximumRetryAttempts": 3},
        {"Arn": failed.arn},
    )
    assert stack.changes("two")
    stack.run("apply", "-auto-approve", text="two")
    assert not stack.changes("two")
    clock = Clock(engine)
    clock.post(at="2030-06-01T00:00:00Z")
    assert bodies(to) == ["two"] * 3
    clock.post(reset=True)
    stack.run("destroy", "-auto-approve")
    assert {one["Name"] for one in api.list_schedules()["Schedules"]}.isdisjoint({"monthly", "any"})
    assert "terraform" not in {one["Name"] for one in api.list_schedule_groups()["ScheduleGroups"]}
