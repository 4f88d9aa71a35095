"""watch: the backlog in the ledger comes out as metrics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from tests.support.handlers import Context, loaded, metrics


def test_unfinished_objects_and_the_age_of_the_oldest_become_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    waited = {"planned#0": [90], "planned#1": [30], "committing#1": [600], "staged#0": [120]}

    began = datetime.now(UTC)

    def paginate(**request: Any) -> list[dict[str, Any]]:
        ages = waited.get(request["ExpressionAttributeValues"][":key"]["S"], [])
        moments = [began - timedelta(seconds=age) for age in ages]
        return [{"Items": [{"updated_at": {"S": moment.isoformat()}} for moment in moments]}]

    dynamodb = MagicMock()
    dynamodb.get_item.return_value = {"Item": {"shards": {"N": "2"}, "complete": {"BOOL": True}}}
    dynamodb.get_paginator.return_value.paginate.side_effect = paginate
    with loaded("core.watch.handler", dynamodb=dynamodb) as module:
        module.handler({}, Context())
    found = metrics(capsys.readouterr().out)
    assert found["ObjectsUnfinished"] == 4
    assert 600 <= found["OldestUnfinishedSeconds"] < 660


def test_a_ledger_that_cannot_be_read_is_an_error_and_no_metric(capsys: pytest.CaptureFixture[str]) -> None:
    dynamodb = MagicMock()
    dynamodb.get_paginator.side_effect = ClientError({"Error": {"Code": "AccessDeniedException"}}, "Query")
    with loaded("core.watch.handler", dynamodb=dynamodb) as module, pytest.raises(ClientError):
        module.handler({}, Context())
    assert metrics(capsys.readouterr().out) == {}
