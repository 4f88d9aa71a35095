"""The engine downloads and installs nothing: what LocalStack would fetch for it is refused in one line."""

from pathlib import Path

from tests.support.engine_harness import in_engine

# Services of LocalStack that work with Java or Node programs which it downloads on first use.
WITHOUT = {"es", "kinesis", "opensearch", "transcribe"}


def test_every_service_answers_or_is_refused_and_nothing_is_fetched_for_it(tmp_path: Path) -> None:
    found = in_engine(
        Path(__file__).with_name("offline_worker.py"),
        GATEWAY_LISTEN="127.0.0.1:4566",
        FILESYSTEM_ROOT=str(tmp_path),
    )
    assert found["outside"] == []

    answers = found["answers"]
    assert len(answers) > 20
    refused = {name for name, answer in answers.items() if answer.endswith("software would have to be downloaded.")}
    assert refused == WITHOUT
    assert answers["kinesis"] == "InternalFailure: This engine has no kinesis, whose software would have to be downloaded."
    assert answers["pipes"] == "InternalFailure: This engine does not have ListPipes of pipes."
    assert [answers[name] for name in ("ec2", "iam", "sts")] == ["done"] * 3
    assert not [answer for answer in answers.values() if "license" in answer or "LocalStack" in answer]

    assert len(found["packages"]) > 20
    assert {answer.partition(", and ")[0] for answer in found["packages"]} == {"This engine downloads nothing"}
