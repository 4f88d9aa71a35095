"""Notices that come together are one mail, and none is lost when the function that mails them dies or is refused."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import pytest

from sluice.pipeline import queues
from tests.support import mailbox
from tests.support.changes import timeouts, visibility
from tests.support.mailbox import Mails
from tests.support.pipeline import Pipeline, until
from tests.support.sweep import BASELINE, Outcome, RecordProperty, Scenario, assert_all_survive

NOTICES = 3


@pytest.fixture
def mails(pipe: Pipeline) -> Iterator[Mails]:
    if not pipe.stack.outputs.get("mail_topic_arn"):
        pytest.skip("notice_gather_seconds is 0")
    with mailbox.mails(pipe.stack) as opened:
        yield opened


def publish(pipe: Pipeline, dataset: str) -> None:
    """So many notices at once, of objects of this dataset, and one message that is no notice."""
    bodies = [
        json.dumps({"kind": "object.failed", "dataset": dataset, "reason": "unreadable", "object": f"s3://b/{n}"})
        for n in range(NOTICES)
    ]
    entries = [{"Id": str(n), "Message": body} for n, body in enumerate([*bodies, no_notice(dataset)])]
    answer = pipe.stack.client("sns").publish_batch(
        TopicArn=pipe.stack["notifications_topic_arn"], PublishBatchRequestEntries=entries
    )
    assert not answer.get("Failed")


def no_notice(dataset: str) -> str:
    return json.dumps({"text": dataset})


def lines(mail: tuple[str, str], dataset: str) -> list[str]:
    """What a mail says of the dataset: the heads of its groups, the command, what is no notice."""
    return [line for line in mail[1].splitlines() if dataset in line]


def expected(dataset: str) -> list[str]:
    return [
        f"{NOTICES} x object.failed, dataset {dataset}: unreadable",
        f"  All of them: sluice runs --state failed --dataset {dataset} --limit {NOTICES}",
        f"  - {no_notice(dataset)}",
    ]


@pytest.mark.sweep
def test_no_notice_is_lost_when_the_function_dies_or_sns_refuses(
    breakable: Pipeline, mails: Mails, record_property: RecordProperty
) -> None:
    """The baseline run is one mail about the notices that were published together."""
    with timeouts(breakable, digest=6), visibility(breakable, digest_queue_url=10):
        scenario = Mailing(breakable, mails)
        sweep = assert_all_survive(scenario, record_property)
    assert sweep.expected.sent == {"mail": 1}
    assert sweep.calls.named == {("digest", "sns", "Publish"): 1}
    [mail] = mails.naming(scenario.dataset(BASELINE))
    assert lines(mail, scenario.dataset(BASELINE)) == expected(scenario.dataset(BASELINE))
    # The notices of other tests may have come together with them.
    assert mail[0].startswith(f"{breakable.stack['metrics_namespace']}: ")
    counted = re.search(r"(\d+) objects failed", mail[0])
    assert counted
    assert int(counted[1]) >= NOTICES


class Mailing(Scenario):
    """Notices that are published together, each copy's in a batch of its own."""

    branch = "digest"
    functions = ("digest",)
    starts_cold = False  # its environments call nothing when they start
    # Sent, and the batch not acknowledged: it comes again.
    repeats = frozenset(
        {("sns", "Publish", "kill-after"), ("sns", "Publish", "hang"), ("lambda", "Return", "kill-after")}
    )
    ways = 2

    def __init__(self, pipe: Pipeline, mails: Mails) -> None:
        super().__init__(pipe)
        self.mails = mails

    def dataset(self, name: str) -> str:
        return f"{self.pipe.run}-{name}"

    def about(self, name: str) -> list[str]:
        return [self.dataset(name)]

    def start(self, name: str) -> None:
        """Waits until its batch met the fault: the next copy's notices are in another batch."""
        before = self.pipe.fault_hits()
        publish(self.pipe, self.dataset(name))
        until("its mail", lambda: self.pipe.fault_hits() > before, 60)

    def wait(self, names: Collection[str]) -> None:
        def mailed() -> bool:
            depth = queues.depth(self.pipe.sqs, self.pipe.stack["digest_queue_url"])
            return not depth.total and all(self.mails.naming(self.dataset(name)) for name in names)

        until("the mails", mailed, 120)

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        return [self._outcome(self.dataset(name)) for name in names]

    def _outcome(self, dataset: str) -> Outcome:
        found = self.mails.naming(dataset)
        said = {line for mail in found for line in lines(mail, dataset)}
        return Outcome({"nothing lost": said == set(expected(dataset))}, Counter({"mail": len(found)}))
