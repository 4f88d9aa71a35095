"""sluice shift and sluice rollback against Lambda and CloudWatch themselves: what the unit tests' stand-ins assume."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from sluice.console import SluiceError
from sluice.release import aliases
from sluice.release.prune import Pruned, prune
from sluice.release.rollback import rollback
from sluice.release.shift import Moved, shift
from tests.support.engine_harness import Engine, zipped

Make = Callable[..., Any]
CODE = "def handler(event, context):\n    return context.function_version\n"


@dataclass
class Deployed:
    """A stack of one function, `ingest`, with its alias and the alarm of its errors."""

    engine: Engine
    prefix: str

    @property
    def outputs(self) -> dict[str, Any]:
        functions = {"ingest": {"name": f"{self.prefix}-ingest", "log_group": "", "alarms": True}}
        core = {"functions": functions, "queues": {}, "workflows": {}, "tables": {}, "notices": []}
        return {"branches": {"core": core}, "function_alias": "live", "ingest_function": f"{self.prefix}-ingest"}

    def __getitem__(self, name: str) -> str:
        return str(self.outputs[name])

    def client(self, service: str) -> Any:
        return self.engine.client(service)

    def alarm(self, state: str) -> None:
        self.client("cloudwatch").set_alarm_state(
            AlarmName=f"{self.prefix}-ingest-errors", StateValue=state, StateReason="test"
        )

    @property
    def alias(self) -> tuple[str, dict[str, float]]:
        found = self.client("lambda").get_alias(FunctionName=f"{self.prefix}-ingest", Name="live")
        return found["FunctionVersion"], found.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})


@pytest.fixture
def deployed(engine: Engine, function: Make) -> Any:
    """Version 1 is in service, version 2 is published."""
    prefix = f"c-{uuid.uuid4().hex[:8]}"
    target, client = function(CODE, name=f"{prefix}-ingest"), engine.client("lambda")
    client.publish_version(FunctionName=target.name)
    client.create_alias(
        FunctionName=target.name, Name="live", FunctionVersion="1", Description="The version in service"
    )
    client.update_function_code(FunctionName=target.name, ZipFile=zipped({"handler.py": f"{CODE}# 2\n"}))
    target.wait()
    client.publish_version(FunctionName=target.name)
    engine.client("cloudwatch").put_metric_alarm(
        AlarmName=f"{prefix}-ingest-errors", Namespace=prefix, MetricName="Errors", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )  # fmt: skip
    found = Deployed(engine, prefix)
    found.alarm("OK")
    yield found
    engine.client("cloudwatch").delete_alarms(AlarmNames=[f"{prefix}-ingest-errors"])


def test_a_shift_and_the_way_back(deployed: Any) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html"""
    assert aliases.held(deployed) == {f"{deployed.prefix}-ingest": "1"}
    seen: list[tuple[str, dict[str, float]]] = []
    moved = shift(deployed, (), [10, 100], 0, report=lambda _: seen.append(deployed.alias))
    assert moved == [Moved("ingest", "1", "2")]
    assert seen == [("1", {"2": 0.1}), ("2", {})]
    assert shift(deployed, (), [100], 0, report=seen.append) == []
    assert rollback(deployed) == [Moved("ingest", "2", "1")]
    assert (rollback(deployed), deployed.alias) == ([], ("1", {}))


def test_an_alarm_during_the_shift_puts_the_function_back(deployed: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""
    with pytest.raises(SluiceError, match="is in ALARM at 50 %: back at ingest 1$"):
        shift(deployed, (), [50, 100], 1, report=lambda _: deployed.alarm("ALARM"))
    assert deployed.alias == ("1", {})


def test_a_change_by_another_ends_the_shift(deployed: Any) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html (RevisionId)"""
    client, name = deployed.client("lambda"), f"{deployed.prefix}-ingest"

    def change(_: str) -> None:
        client.update_alias(FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.3}})

    with pytest.raises(SluiceError, match="was changed by another"):
        shift(deployed, (), [50, 100], 0, report=change)
    assert deployed.alias == ("1", {"2": 0.3})
    assert rollback(deployed) == [Moved("ingest", "2", "1")]
    assert deployed.alias == ("1", {})


def test_old_versions_are_deleted_and_those_of_aliases_stay(deployed: Any) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html"""
    client, name, said = deployed.client("lambda"), f"{deployed.prefix}-ingest", []
    client.create_alias(FunctionName=name, Name="another", FunctionVersion="2")
    for number in range(3, 10):
        client.update_function_code(FunctionName=name, ZipFile=zipped({"handler.py": f"{CODE}# {number}\n"}))
        client.get_waiter("function_updated_v2").wait(FunctionName=name)
        client.publish_version(FunctionName=name)
    assert prune(deployed, said.append) == [Pruned("ingest", ("3", "4"))]
    assert prune(deployed, said.append) == said == []
    listed = client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [one["Version"] for one in listed] == ["$LATEST", "1", "2", "5", "6", "7", "8", "9"]
    assert deployed.alias == ("1", {})
