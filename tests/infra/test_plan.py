"""Plans of dev and prod with the plain provider, dummy keys and no network."""

from collections import Counter

import pytest

from tests.infra.planning import ENVS, OfflinePlan, planned_addresses
from tests.support.ledger_table import INCLUDED

NAMED = {
    "aws_sqs_queue": "name",
    "aws_sns_topic": "name",
    "aws_dynamodb_table": "name",
    "aws_lambda_function": "function_name",
    "aws_iam_role": "name",
    "aws_s3_bucket": "bucket",
    "aws_cloudwatch_event_bus": "name",
    "aws_lambda_layer_version": "layer_name",
    "aws_sfn_state_machine": "name",
    "aws_cloudwatch_metric_alarm": "alarm_name",
    "aws_cloudwatch_event_rule": "name",
    "aws_rds_cluster": "cluster_identifier",
    "aws_secretsmanager_secret": "name",
    "aws_security_group": "name",
    "aws_api_gateway_rest_api": "name",
    "aws_api_gateway_usage_plan": "name",
    "aws_api_gateway_api_key": "name",
}
# What a branch adds; dev and prod have all of them.
OPS = {
    "aws_sfn_state_machine": 1,
    "aws_cloudwatch_event_rule": 1,
    "aws_cloudwatch_event_target": 1,
    "aws_cloudwatch_log_group": 2,
    "aws_iam_role": 2,
    "aws_iam_role_policy": 2,
    "aws_lambda_function": 1,
    "aws_s3_object": 1,
}
OBSERVABILITY = {
    "aws_cloudwatch_dashboard": 1,
    "aws_cloudwatch_metric_alarm": 20,
    "aws_cloudwatch_event_rule": 1,
    "aws_cloudwatch_event_target": 1,
    "aws_cloudwatch_log_group": 1,
    "aws_iam_role": 1,
    "aws_iam_role_policy": 1,
    "aws_lambda_function": 1,
    "aws_lambda_permission": 1,
    "aws_s3_object": 1,
}
WAREHOUSE = {
    "aws_vpc": 1,
    "aws_default_security_group": 1,
    "aws_subnet": 2,
    "aws_route_table": 1,
    "aws_route_table_association": 2,
    "aws_security_group": 3,
    "aws_vpc_security_group_ingress_rule": 2,
    "aws_vpc_security_group_egress_rule": 4,
    "aws_vpc_endpoint": 5,
    "aws_db_subnet_group": 1,
    "aws_rds_cluster": 1,
    "aws_rds_cluster_instance": 1,
    "aws_secretsmanager_secret": 2,
    "aws_lambda_invocation": 1,
    "aws_lambda_layer_version": 1,
    "aws_lambda_function": 2,
    "aws_lambda_event_source_mapping": 1,
    "aws_s3_object": 3,
    "aws_cloudwatch_log_group": 2,
    "aws_iam_role": 2,
    "aws_iam_role_policy": 3,
    "aws_sqs_queue": 2,
    "aws_cloudwatch_event_rule": 1,
    "aws_cloudwatch_event_target": 1,
    # with observability: errors and throttles of load, its queue's age and dead-letter messages, two of the database
    "aws_cloudwatch_metric_alarm": 6,
}
FEEDBACK = {
    "aws_cloudwatch_event_rule": 1,
    "aws_cloudwatch_event_target": 1,
    "aws_cloudwatch_log_group": 1,
    "aws_cloudwatch_metric_alarm": 5,  # errors, throttles, queue's age, dead-letter messages, throttles of the table
    "aws_dynamodb_table": 1,
    "aws_iam_role": 1,
    "aws_iam_role_policy": 2,
    "aws_lambda_event_source_mapping": 1,
    "aws_lambda_function": 1,
    "aws_s3_object": 1,
    "aws_sqs_queue": 2,
}
API = {
    "aws_api_gateway_rest_api": 1,
    "aws_api_gateway_resource": 3,
    "aws_api_gateway_method": 4,
    "aws_api_gateway_integration": 4,
    "aws_api_gateway_gateway_response": 8,
    "aws_api_gateway_deployment": 1,
    "aws_api_gateway_stage": 1,
    "aws_api_gateway_method_settings": 1,
    "aws_api_gateway_usage_plan": 1,
    "aws_api_gateway_api_key": 1,
    "aws_api_gateway_usage_plan_key": 1,
    "aws_cloudwatch_log_group": 3,
    "aws_dynamodb_table": 1,
    "aws_iam_role": 3,
    "aws_iam_role_policy": 3,
    "aws_lambda_function": 2,
    "aws_lambda_layer_version": 1,
    "aws_lambda_permission": 2,
    "aws_s3_object": 3,
    "aws_sfn_state_machine": 1,
    "aws_cloudwatch_event_rule": 1,
    "aws_cloudwatch_event_target": 2,
    "aws_vpc_endpoint": 1,
    # with observability: errors and throttles of the function and of the table, 5xx, latency
    "aws_cloudwatch_metric_alarm": 5,
}
CHECKINS = {
    "aws_sfn_state_machine": 1,
    "aws_cloudwatch_event_rule": 1,
    "aws_cloudwatch_event_target": 2,
    "aws_cloudwatch_log_group": 3,
    "aws_cloudwatch_metric_alarm": 7,  # errors and throttles of two functions and two tables, failures of the workflow
    "aws_dynamodb_table": 2,
    "aws_iam_role": 3,
    "aws_iam_role_policy": 3,
    "aws_lambda_function": 2,
    "aws_lambda_permission": 1,
    "aws_s3_object": 2,
}

BUCKET = [f"aws_s3_bucket{part}" for part in ("", "_lifecycle_configuration", "_ownership_controls", "_policy",
          "_public_access_block", "_server_side_encryption_configuration", "_versioning")]  # fmt: skip
LAKE = dict.fromkeys(BUCKET, 1) | {
    "aws_athena_workgroup": 1,
    "aws_glue_catalog_database": 2,
    "aws_glue_catalog_table": 19,  # nine datasets, the views of eight; objects and quarantine
    "aws_glue_job": 1,
    "aws_sfn_state_machine": 1,
    "aws_cloudwatch_event_rule": 2,  # committed objects; aborted compactions
    "aws_cloudwatch_event_target": 2,
    "aws_cloudwatch_log_group": 2,
    "aws_cloudwatch_metric_alarm": 5,  # errors, throttles, queue's age, dead-letter messages; failed compactions
    "aws_iam_role": 3,
    "aws_iam_role_policy": 4,
    "aws_lambda_event_source_mapping": 1,
    "aws_lambda_function": 1,
    "aws_s3_object": 3,
    "aws_sqs_queue": 2,
}
QUALITY = dict.fromkeys(BUCKET, 2) | {  # the branch's own, and the core's for staged files
    "aws_glue_job": 1,
    "aws_sfn_state_machine": 1,
    "aws_cloudwatch_event_rule": 2,  # staged objects; aborted runs
    "aws_cloudwatch_event_target": 2,
    "aws_cloudwatch_log_group": 4,
    "aws_cloudwatch_metric_alarm": 9,  # errors and throttles of three functions, the queue's two, failed runs
    "aws_iam_role": 5,
    "aws_iam_role_policy": 6,
    "aws_lambda_event_source_mapping": 1,
    "aws_lambda_function": 3,
    "aws_s3_object": 5,
    "aws_sqs_queue": 2,
}
TAXI = dict.fromkeys(BUCKET, 1) | {
    "aws_cloudwatch_event_rule": 1,
    "aws_cloudwatch_event_target": 1,
    "aws_cloudwatch_log_group": 4,
    "aws_cloudwatch_metric_alarm": 6,  # errors and throttles of two functions, throttles of the table, failed runs
    "aws_default_security_group": 1,
    "aws_dynamodb_table": 1,
    "aws_glue_job": 3,
    "aws_iam_role": 9,  # three functions, three jobs, workflow, schedules, COPY
    "aws_iam_role_policy": 9,
    "aws_lambda_function": 3,
    "aws_lambda_invocation": 1,
    "aws_redshiftserverless_namespace": 1,
    "aws_redshiftserverless_workgroup": 1,
    "aws_route_table": 1,
    "aws_route_table_association": 3,
    "aws_s3_object": 6,
    "aws_scheduler_schedule_group": 1,
    "aws_security_group": 1,
    "aws_sfn_state_machine": 1,
    "aws_subnet": 3,
    "aws_vpc": 1,
    "aws_vpc_endpoint": 1,
    "aws_vpc_security_group_egress_rule": 1,
}

GATHERED = {  # notices in one mail
    "aws_cloudwatch_log_group": 1,
    "aws_cloudwatch_metric_alarm": 4,  # errors, throttles, queue's age, dead-letter messages
    "aws_iam_role": 1,
    "aws_iam_role_policy": 2,
    "aws_lambda_event_source_mapping": 1,
    "aws_lambda_function": 1,
    "aws_s3_object": 1,
    "aws_sns_topic": 1,
    "aws_sns_topic_policy": 1,
    "aws_sns_topic_subscription": 1,
    "aws_sqs_queue": 2,
}

RECONCILED = {  # bronze compared with the ledger
    "aws_cloudwatch_event_rule": 1,
    "aws_cloudwatch_event_target": 1,
    "aws_cloudwatch_log_group": 1,
    "aws_cloudwatch_metric_alarm": 2,  # errors, throttles
    "aws_iam_role": 1,
    "aws_iam_role_policy": 1,
    "aws_lambda_function": 1,
    "aws_lambda_permission": 1,
    "aws_s3_bucket_inventory": 1,
    "aws_s3_object": 1,
}

PROD = {
    "aws_lambda_alias": 19,  # of every function but the two that a deployment itself invokes
    "terraform_data": 1,  # the time in the name of the warehouse's last snapshot
    "aws_rds_cluster_instance": 1,  # the reader
    "aws_cloudwatch_event_archive": 1,
    "aws_sns_topic_subscription": 1,
    "aws_cloudwatch_event_rule": 2,
    "aws_cloudwatch_event_target": 2,
    "aws_iam_role": 1,
    "aws_iam_role_policy": 1,
}


def test_a_plan_needs_no_account_and_no_network(env_plan: tuple[str, OfflinePlan]) -> None:
    _, plan = env_plan
    assert plan.contacted == ()


def test_a_plan_creates_the_core_and_the_branches_that_are_on(env_plan: tuple[str, OfflinePlan]) -> None:
    env, plan = env_plan
    kinds = Counter(change["type"] for change in plan.document["resource_changes"])
    core = {
        "aws_s3_bucket": 4,
        "aws_s3_bucket_lifecycle_configuration": 4,
        "aws_s3_bucket_ownership_controls": 4,
        "aws_s3_bucket_policy": 4,
        "aws_s3_bucket_public_access_block": 4,
        "aws_s3_bucket_server_side_encryption_configuration": 4,
        "aws_s3_bucket_versioning": 4,
        "aws_s3_bucket_notification": 1,
        "aws_s3_object": 6,
        "aws_sqs_queue": 5,
        "aws_dynamodb_table": 2,
        "aws_sns_topic": 1,
        "aws_sns_topic_policy": 1,
        "aws_cloudwatch_event_bus": 1,
        "aws_cloudwatch_event_rule": 1,
        "aws_cloudwatch_event_target": 1,
        "aws_cloudwatch_log_group": 3,
        "aws_iam_role": 3,
        "aws_iam_role_policy": 5,
        "aws_lambda_function": 3,
        "aws_lambda_function_event_invoke_config": 1,
        "aws_lambda_layer_version": 2,
        "aws_lambda_permission": 2,
        "aws_lambda_event_source_mapping": 2,
    }
    branches = sum(
        map(Counter, (OPS, OBSERVABILITY, WAREHOUSE, FEEDBACK, API, CHECKINS, LAKE, QUALITY, TAXI)), Counter()
    )
    added = Counter(PROD) + Counter(GATHERED) + Counter(RECONCILED) if env == "prod" else Counter()
    assert kinds == Counter(core) + branches + added
    assert len(plan.addresses) == kinds.total()


def test_every_target_of_eventbridge_has_a_dead_letter_queue(env_plan: tuple[str, OfflinePlan]) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-rule-dlq"""
    _, plan = env_plan
    changes = [c for c in plan.document["resource_changes"] if c["type"] == "aws_cloudwatch_event_target"]
    assert changes
    without = [
        change["address"]
        for change in changes
        # The queue's ARN is known after it is created.
        if not change["change"]["after"].get("dead_letter_config")
        and not change["change"]["after_unknown"].get("dead_letter_config")
    ]
    assert without == []


def test_tables_come_after_the_network_and_before_what_uses_them(env_plan: tuple[str, OfflinePlan]) -> None:
    """Migrations run when endpoints and rules are there; loads and answers begin when the migrations have run."""
    _, plan = env_plan
    calls = plan.document["configuration"]["root_module"]["module_calls"]
    warehouse = calls["warehouse"]["module"]
    [migrate] = [one for one in warehouse["resources"] if one["address"] == "aws_lambda_invocation.migrate"]
    assert migrate["depends_on"] == ["module.database"]
    endpoints = {one["type"] for one in warehouse["module_calls"]["database"]["module"]["resources"]}
    assert {"aws_vpc_endpoint", "aws_vpc_security_group_ingress_rule", "aws_route_table_association"} <= endpoints
    assert warehouse["module_calls"]["load_trigger"]["depends_on"] == ["aws_lambda_invocation.migrate"]
    rest_api = calls["api"]["module"]["module_calls"]["rest_api"]
    assert rest_api["expressions"]["opened_after"]["references"] == ["var.migrated"]
    stages = [one for one in rest_api["module"]["resources"] if one["type"] == "aws_api_gateway_stage"]
    assert [one["depends_on"] for one in stages] == [["var.opened_after", "aws_api_gateway_account.this"]]


def test_prod_is_dev_with_an_archive_a_mail_address_and_schedules() -> None:
    dev, prod = planned_addresses(ENVS / "dev.tfvars"), planned_addresses(ENVS / "prod.tfvars")
    assert dev - prod == set()
    functions = {address for address in prod if address.endswith(".aws_lambda_function.this")}
    gathered = {address for address in prod - dev if "digest" in address or address.startswith("module.mail[0].")}
    assert len(gathered) == sum(GATHERED.values()) + 2  # the mail address's subscription, the alias
    reconciled = {address for address in prod - dev if "reconcile" in address}
    assert len(reconciled) == sum(RECONCILED.values()) + 1  # the alias
    assert prod - dev - gathered - reconciled == {
        "module.event_bus.aws_cloudwatch_event_archive.this[0]",
        "module.warehouse[0].module.database.terraform_data.made[0]",
        "module.warehouse[0].module.database.aws_rds_cluster_instance.reader[0]",
        "module.api[0].module.jobs.aws_iam_role.schedule[0]",
        "module.api[0].module.jobs.aws_iam_role_policy.schedule[0]",
        *(
            f'module.api[0].module.jobs.aws_cloudwatch_event_{kind}.schedule["{name}"]'
            for kind in ("rule", "target")
            for name in ("daily", "monthly")
        ),
        # Every function but those that a deployment itself invokes.
        *(
            address.replace("aws_lambda_function.this", "aws_lambda_alias.live[0]")
            for address in functions & dev
            if ".migrate." not in address
        ),
    }


def test_a_mail_address_subscribes_where_notices_are_gathered(env_plan: tuple[str, OfflinePlan]) -> None:
    """Programs subscribe to the topic of notices; the address to one topic only, or it got each notice twice."""
    env, plan = env_plan
    found = {address: one["protocol"] for address, one in plan.resources("aws_sns_topic_subscription").items()}
    gathered = {
        "module.mail[0].aws_sns_topic_subscription.email[0]": "email",
        "aws_sns_topic_subscription.digest[0]": "sqs",
    }
    assert found == (gathered if env == "prod" else {})


def test_prods_triggers_invoke_the_alias_and_nothing_else(env_plan: tuple[str, OfflinePlan]) -> None:
    """A permission of a function is not one of its alias: https://docs.aws.amazon.com/lambda/latest/dg/configuration-aliases.html"""
    env, plan = env_plan
    permissions = plan.resources("aws_lambda_permission")
    qualifiers = {address: values.get("qualifier") for address, values in permissions.items()}
    # S3 may deliver to the function what it noticed before there was a queue.
    left = {address: qualifier for address, qualifier in qualifiers.items() if "bronze_trigger" not in address}
    assert len(left) == len(qualifiers) - 1 > 0
    assert set(left.values()) == ({"live"} if env == "prod" else {None})


def test_everything_is_named_and_tagged(env_plan: tuple[str, OfflinePlan]) -> None:
    env, plan = env_plan
    for kind, attribute in NAMED.items():
        for address, values in plan.resources(kind).items():
            named = values.get(attribute) or values[f"{attribute}_prefix"]
            assert named.startswith(f"sluice-{env}-"), address
            if "tags_all" in values:
                tags = {name: value for name, value in values["tags_all"].items() if name != "Name"}
                assert tags == {"project": "sluice", "env": env, "managed-by": "terraform"}, address


@pytest.mark.parametrize(
    ("consumer", "source", "trigger"),
    [
        ("transform", "chunk_queue", "chunk_trigger"),
        ("ingest", "ingest_queue", "ingest_trigger"),
        ("digest[0]", "digest_queue[0]", "digest_trigger[0]"),
    ],
)
def test_a_message_is_hidden_for_six_timeouts(
    env_plan: tuple[str, OfflinePlan], consumer: str, source: str, trigger: str
) -> None:
    env, plan = env_plan
    if consumer == "digest[0]" and env != "prod":
        return  # dev gathers no notices
    function = plan.resources("aws_lambda_function")[f"module.{consumer}.aws_lambda_function.this"]
    queue = plan.resources("aws_sqs_queue")[f"module.{source}.aws_sqs_queue.this[0]"]
    mapping = plan.resources("aws_lambda_event_source_mapping")[
        f"module.{trigger}.aws_lambda_event_source_mapping.this"
    ]
    window = mapping["maximum_batching_window_in_seconds"]
    assert queue["visibility_timeout_seconds"] >= 6 * function["timeout"] + window


def test_new_objects_are_announced_to_a_queue_that_has_a_reader(env_plan: tuple[str, OfflinePlan]) -> None:
    """One setting, at the address that it always had, so that the queue takes the function's place in one write."""
    _, plan = env_plan
    [(address, setting)] = plan.resources("aws_s3_bucket_notification").items()
    assert address == "module.bronze_trigger.aws_s3_bucket_notification.this"
    assert [one["filter_prefix"] for one in setting["queue"]] == ["bronze/"]
    assert not setting["lambda_function"]
    calls = plan.document["configuration"]["root_module"]["module_calls"]
    assert calls["bronze_trigger"]["depends_on"] == ["module.ingest_trigger"]
    [mapping] = [one for one in plan.resources("aws_lambda_event_source_mapping").items() if "ingest_trigger" in one[0]]
    assert mapping[1]["function_response_types"] == ["ReportBatchItemFailures"]
    assert mapping[1]["scaling_config"][0]["maximum_concurrency"] >= 2


def test_prod_retains_data_and_dev_lets_it_go(env_plan: tuple[str, OfflinePlan]) -> None:
    env, plan = env_plan
    prod = env == "prod"
    assert {b["force_destroy"] for b in plan.resources("aws_s3_bucket").values()} == {not prod}
    tables = plan.resources("aws_dynamodb_table").values()
    assert {t["deletion_protection_enabled"] for t in tables} == {prod}
    assert {t["point_in_time_recovery"][0]["enabled"] for t in tables} == {prod}
    retention = {g["retention_in_days"] for g in plan.resources("aws_cloudwatch_log_group").values()}
    assert retention == ({90} if prod else {7})


def test_the_ledgers_indexes_have_the_keys_and_attributes_that_its_readers_use(
    env_plan: tuple[str, OfflinePlan],
) -> None:
    """A further index would cost writes; dev has one shard of each, and prod several."""
    env, plan = env_plan
    [table] = [one for name, one in plan.resources("aws_dynamodb_table").items() if "ledger" in name]
    assert {
        (one["name"], one["hash_key"], one["range_key"], one["projection_type"], frozenset(one["non_key_attributes"]))
        for one in table["global_secondary_index"]
    } == {(*index, "INCLUDE", frozenset(included)) for index, included in INCLUDED.items()}
    shards = int(plan.document["variables"]["ledger_shards"]["value"])
    assert shards > 1 if env == "prod" else shards == 1


def test_no_password_is_planned(env_plan: tuple[str, OfflinePlan]) -> None:
    """Neither given nor generated: RDS and the migrations make them, in Secrets Manager."""
    _, plan = env_plan
    for cluster in plan.resources("aws_rds_cluster").values():
        assert cluster["manage_master_user_password"] is True
    for namespace in plan.resources("aws_redshiftserverless_namespace").values():
        assert namespace["manage_admin_password"] is True
        assert namespace["admin_user_password"] is None
        assert cluster["master_password"] is None
    kinds = {change["type"] for change in plan.document["resource_changes"]}
    assert not kinds & {"random_password", "aws_secretsmanager_secret_version"}
