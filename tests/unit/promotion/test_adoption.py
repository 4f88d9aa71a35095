"""What a killed deployment has made and no state has is found by its name, and imported when it is ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.console import SluiceError
from sluice.promotion import adoption, plans, record
from sluice.promotion.adoption import KINDS, Found, Place
from sluice.terraform import Account, aws
from sluice.terraform.variables import Known
from tests.unit.promotion.conftest import ACCOUNT, Cloud, Terraform, error

PLACE = Place("aws", "us-east-1", ACCOUNT)
TAGS = {"project": "sluice", "env": "dev", "managed-by": "terraform"}
OTHERS = ("aws_iam_role_policy", "aws_vpc", "aws_s3_object")  # written over, or named by AWS

# Operation -> the parameter that names the thing, the code when it is not there, and the answer when it is.
ANSWERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "head_bucket": ("Bucket", "404", {}),
    "get_role": ("RoleName", "NoSuchEntity", {}),
    "describe_log_groups": ("logGroupNamePrefix", "", {"logGroups": [{"logGroupName": "NAME"}]}),
    "get_queue_url": ("QueueName", "AWS.SimpleQueueService.NonExistentQueue", {"QueueUrl": "https://q/NAME"}),
    "get_topic_attributes": ("TopicArn", "NotFound", {}),
    "describe_table": ("TableName", "ResourceNotFoundException", {}),
    "get_function_configuration": ("FunctionName", "ResourceNotFoundException", {}),
    "get_alias": ("FunctionName", "ResourceNotFoundException", {}),
    "get_policy": ("FunctionName", "ResourceNotFoundException", {"Policy": '{"Statement": [{"Sid": "Call"}]}'}),
    "list_event_source_mappings": ("FunctionName", "", {"EventSourceMappings": [{"UUID": "u-NAME"}]}),
    "get_database": ("Name", "EntityNotFoundException", {}),
    "get_table": ("Name", "EntityNotFoundException", {}),
    "get_crawler": ("Name", "EntityNotFoundException", {}),
    "get_job": ("JobName", "EntityNotFoundException", {}),
    "describe_state_machine": ("stateMachineArn", "StateMachineDoesNotExist", {}),
    "describe_event_bus": ("Name", "ResourceNotFoundException", {}),
    "describe_archive": ("ArchiveName", "ResourceNotFoundException", {}),
    "get_work_group": ("WorkGroup", "InvalidRequestException", {}),
    "get_schedule_group": ("Name", "ResourceNotFoundException", {}),
    "get_schedule": ("Name", "ResourceNotFoundException", {}),
    "describe_secret": ("SecretId", "ResourceNotFoundException", {"ARN": "arn:secret:NAME"}),
    "describe_db_subnet_groups": ("DBSubnetGroupName", "DBSubnetGroupNotFoundFault", {}),
    "describe_db_clusters": ("DBClusterIdentifier", "DBClusterNotFoundFault", {}),
    "describe_db_instances": ("DBInstanceIdentifier", "DBInstanceNotFound", {}),
    "get_namespace": ("namespaceName", "ResourceNotFoundException", {}),
    "get_workgroup": ("workgroupName", "ResourceNotFoundException", {}),
}
EMPTY = {"describe_log_groups": {"logGroups": [{"logGroupName": "another"}]},
         "list_event_source_mappings": {"EventSourceMappings": []}}  # fmt: skip


def planned(name: str) -> dict[str, Any]:
    """Attributes of whatever type; each name is one's own."""
    names = ("name", "bucket", "function_name", "cluster_identifier", "identifier", "namespace_name", "workgroup_name")
    return dict.fromkeys(names, name) | {
        "qualifier": "live", "statement_id": "Call", "event_source_arn": "arn:q", "database_name": "d",
        "group_name": "g", "tags_all": TAGS,
    }  # fmt: skip


@dataclass
class World:
    """Names that exist, of each operation's service."""

    there: set[tuple[str, str]] = field(default_factory=set)

    def __call__(self, _: str) -> Any:
        return self

    def __getattr__(self, operation: str) -> Any:
        def call(**given: Any) -> Any:
            parameter, code, answer = ANSWERS[operation]
            name = str(given[parameter]).rpartition(":")[2]
            if (operation, name) in self.there:
                found: Any = json.loads(json.dumps(answer).replace("NAME", name))
                return found
            if operation in EMPTY:
                return EMPTY[operation]
            raise error(code, operation)

        return call


def document(resources: list[tuple[str, str]]) -> dict[str, Any]:
    """A plan that makes these: type and name."""
    return {"resource_changes": [
        {"address": f"{kind}.{name}", "type": kind, "mode": "managed",
         "change": {"actions": ["create"], "before": None, "after": planned(name)}}
        for kind, name in resources
    ]}  # fmt: skip


def test_every_kind_is_tried_here() -> None:
    assert {kind.operation for kind in KINDS.values()} == set(ANSWERS)


@given(
    kinds=st.lists(st.sampled_from([*KINDS, *OTHERS]), max_size=25),
    killed=st.integers(0, 25),
    stored=st.integers(0, 25),
)
def test_a_deployment_that_was_killed_is_continued_with_each_thing_made_once(
    kinds: list[str], killed: int, stored: int
) -> None:
    """Killed after `killed` resources, of which the state has the first `stored`."""
    resources = [(kind, f"n{number}") for number, kind in enumerate(kinds)]
    made = resources[:killed]
    state = {f"{kind}.{name}" for kind, name in made[:stored]}
    world = World({(KINDS[kind].operation, name) for kind, name in made if kind in KINDS})
    rest = [one for one in resources if f"{one[0]}.{one[1]}" not in state]
    imported = [one.address for one in adoption.found(document(rest), PLACE, world)]
    assert imported == sorted(f"{kind}.{name}" for kind, name in made[stored:] if kind in KINDS)
    for kind, name in rest:  # what the next deployment makes and AWS refuses when it is there
        if kind in KINDS and f"{kind}.{name}" not in imported:
            assert (KINDS[kind].operation, name) not in world.there


def test_ids_are_those_of_terraforms_imports() -> None:
    resources = [(kind, "n") for kind in KINDS]
    world = World({(kind.operation, "n") for kind in KINDS.values()})
    found = {one.address.split(".")[0]: one.id for one in adoption.found(document(resources), PLACE, world)}
    assert found.keys() == KINDS.keys()
    assert {kind: id for kind, id in found.items() if id != "n"} == {
        "aws_sqs_queue": "https://q/n",
        "aws_sns_topic": f"arn:aws:sns:us-east-1:{ACCOUNT}:n",
        "aws_lambda_alias": "n/n",
        "aws_lambda_permission": "n:live/Call",
        "aws_lambda_event_source_mapping": "u-n",
        "aws_glue_catalog_database": f"{ACCOUNT}:n",
        "aws_glue_catalog_table": f"{ACCOUNT}:d:n",
        "aws_sfn_state_machine": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:n",
        "aws_scheduler_schedule": "g/n",
        "aws_secretsmanager_secret": "arn:secret:n",
    }


@pytest.mark.parametrize("change", [
    {"actions": ["no-op"]}, {"actions": ["update"]}, {"actions": ["delete", "create"]},
    {"after": {"bucket": None}}, {"after": {}},
])  # fmt: skip
def test_what_is_in_the_state_or_has_no_name_yet_is_not_asked_for(change: dict[str, Any]) -> None:
    found = document([("aws_s3_bucket", "n")])
    found["resource_changes"][0]["change"] |= change
    assert adoption.found(found, PLACE, World({("head_bucket", "n")})) == []


def test_a_question_that_aws_refuses_ends_it() -> None:
    def refusing(_: str) -> Any:
        class Client:
            def get_role(self, **_: Any) -> Any:
                raise error("AccessDenied", "GetRole")

        return Client()

    with pytest.raises(SluiceError, match=f"what account {ACCOUNT} has cannot be read: get_role: AccessDenied"):
        adoption.found(document([("aws_iam_role", "n")]), PLACE, refusing)


def test_ids_are_text_and_no_code() -> None:
    assert adoption.blocks([Found("aws_sqs_queue.q", 'a"${b}%{c}\\')]) == (
        'import {\n  to = aws_sqs_queue.q\n  id = "a\\"$${b}%%{c}\\\\"\n}\n'
    )


def test_what_is_in_no_state_and_has_no_name_of_ours_is_listed() -> None:
    class Tagging:
        def get_resources(self, TagFilters: list[Any], PaginationToken: str) -> Any:  # noqa: N803
            assert {one["Key"]: one["Values"] for one in TagFilters} == {k: [v] for k, v in TAGS.items()}
            pages: dict[str, Any] = {
                "": {"ResourceTagMappingList": [{"ResourceARN": "arn:vpc"}], "PaginationToken": "2"},
                "2": {"ResourceTagMappingList": [{"ResourceARN": "arn:api"}, {"ResourceARN": "a:cluster-snapshot:1"}]},
            }
            return pages[PaginationToken]

    have = {"prior_state": {"values": {"root_module": {"child_modules": [{"resources": [{"arn": "arn:vpc"}]}]}}}}
    known = Known("sluice", "dev", "us-east-1", (), protected=False)
    assert adoption.left(have, known, lambda _: Tagging()) == ["arn:api"]
    assert adoption.left({}, known, lambda _: Tagging()) == ["arn:api", "arn:vpc"]


# -- the plan, with Terraform's stand-in -------------------------------------------------------------------------------


@pytest.fixture
def killed(cloud: Cloud, terraform: Terraform) -> Iterator[Terraform]:
    """The bucket that the plan wants to make is there."""
    cloud.buckets["sluice-dev-bronze"] = ACCOUNT
    found = json.loads((terraform.home / "document.json").read_text())
    found["resource_changes"][0]["change"]["after"]["tags_all"] = TAGS
    (terraform.home / "document.json").write_text(json.dumps(found))
    yield terraform
    assert list(aws.AWS_DIR.rglob(adoption.FILE)) == []


def adopted(var_file: Path, said: list[str] | None = None) -> record.Record:
    report = (said if said is not None else []).append
    return plans.make(Account("dev"), "dev", var_file, {}, record.plan_file("dev"), report, adopt=True)[0]


def test_a_plan_imports_what_is_there(cloud: Cloud, killed: Terraform, var_file: Path) -> None:
    (killed.home / "there.json").write_text(json.dumps({"aws_s3_bucket.a": {"tags_all": TAGS}}))
    cloud.tagged.append("arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1")
    said: list[str] = []
    assert adopted(var_file, said).facts.buckets == {"sluice-dev-bronze": "have"}
    assert "adopt   1 resources that are there and in no state are imported by this plan" in said
    assert said[-1].startswith("adopt   arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1 has this stack's tags")
    assert killed.verbs.count("plan") == 2
    again = "make plan TARGET=aws ENV=dev"
    assert plans.ready(Account("dev"), "dev", record.plan_file("dev"), again, print).applicable


@pytest.mark.parametrize("tags", [{}, TAGS | {"env": "prod"}, TAGS | {"project": "other"}, {"managed-by": "terraform"}])
def test_what_is_not_ours_is_not_imported_and_nothing_is_planned(
    cloud: Cloud, killed: Terraform, var_file: Path, tags: dict[str, str]
) -> None:
    (killed.home / "there.json").write_text(json.dumps({"aws_s3_bucket.a": {"tags_all": tags}}))
    with pytest.raises(SluiceError, match=r"already, and its tags do not say that it is this stack's") as raised:
        adopted(var_file)
    assert (raised.value.code, "\n" in str(raised.value)) == (1, False)
    with pytest.raises(SluiceError, match="there is no plan"):
        record.load(record.plan_file("dev"), "make plan")
    assert not record.plan_file("dev").exists()


def test_without_anything_to_adopt_it_is_the_plan_as_ever(cloud: Cloud, terraform: Terraform, var_file: Path) -> None:
    said: list[str] = []
    adopted(var_file, said)
    assert "adopt   no resources that are there and in no state are imported by this plan" in said
    assert terraform.verbs.count("plan") == 1


def test_another_accounts_bucket_is_left_to_preflight(cloud: Cloud, killed: Terraform, var_file: Path) -> None:
    cloud.buckets["sluice-dev-bronze"] = "210987654321"
    assert adopted(var_file).facts.buckets == {"sluice-dev-bronze": "create"}
