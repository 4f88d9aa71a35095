"""The feedback branch as a test sees it: its table, its alerts and their notices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from feedback.rows import ALERT_SK, FeedbackRows, alert_pk
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.dynamo.values import plain
from sluice_pipeline.events.committed import event_of
from tests.support.pipeline import Pipeline, Put, until

CHECKS = ("rating_out_of_range", "empty_text", "burst")


@dataclass(frozen=True)
class Feedback:
    pipe: Pipeline

    @property
    def table(self) -> Table:
        return Table(self.pipe.dynamodb, self.pipe.stack["feedback_table"])

    @property
    def reader(self) -> FeedbackRows:
        return FeedbackRows(self.pipe.dynamodb, self.pipe.stack["feedback_table"])

    def counted(self, put: Put, run: int = 1, deadline: float = 90) -> dict[str, Any]:
        """What the branch has counted of the object's run, once it has."""

        def look() -> dict[str, Any] | None:
            item = self.table.get(f"object#{put.object_id}", "object")
            return item if item and int(item["counted_run"]) == run else None

        return until(f"feedback of {put.ref.key}", look, deadline)

    def everything(self) -> list[dict[str, Any]]:
        """All feedback items of the table, whatever indexes say."""
        pages = self.pipe.dynamodb.get_paginator("scan").paginate(
            TableName=self.pipe.stack["feedback_table"], FilterExpression="attribute_exists(customer_key)"
        )
        return [plain(item) for page in pages for item in page["Items"]]

    def stored(self, *puts: Put) -> dict[str, dict[str, Any]]:
        """The items that came from these objects, by feedback id."""
        wanted = {put.object_id for put in puts}
        return {item["row"]["feedback_id"]: item for item in self.everything() if item["object_id"] in wanted}

    def announce(self, put: Put, run: int = 1) -> None:
        """Sends the object's event to the branch once more."""
        body = json.dumps(event_of(put.object_id, run, "feedback"))
        self.pipe.sqs.send_message(QueueUrl=self.pipe.stack["feedback_queue_url"], MessageBody=body)

    def idle(self, deadline: float = 90) -> None:
        until("an empty queue", lambda: self.pipe.depth("feedback_queue_url") == 0, deadline)

    def anomaly_notices(self, text: str = "") -> list[dict[str, Any]]:
        """Notices about anomalies whose samples hold this text; without one, this test's."""
        return [
            notice
            for notice in self.pipe.mail.notices(kind="feedback.anomaly")
            if any((text or self.pipe.run) in sample for sample in notice["samples"])
        ]

    def forget_alerts(self) -> None:
        """As if no notice had been sent yet: the quiet time of another test is over."""
        for check in CHECKS:
            key = {"pk": {"S": alert_pk("feedback", check)}, "sk": {"S": ALERT_SK}}
            self.pipe.dynamodb.delete_item(TableName=self.pipe.stack["feedback_table"], Key=key)

    def all_notified(self) -> bool:
        """Whether the ratings that are out of range have been sent, and that was recorded."""
        alert = self.reader.alerts(CHECKS).get("rating_out_of_range")
        return alert is not None and not alert["pending"]
