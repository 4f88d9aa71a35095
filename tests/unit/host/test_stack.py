"""A stack's clients: the same one each time, and S3's with the transfers that boto3 adds."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from sluice.pipeline.stack import Stack


def test_a_client_is_made_once_and_one_with_settings_each_time() -> None:
    stack = Stack("http://127.0.0.1:1", "us-east-1")
    assert stack.client("sqs") is stack.client("sqs")
    assert stack.client("sqs") is not Stack("http://127.0.0.1:1", "us-east-1").client("sqs")
    assert stack.client("sqs", read_timeout=1) is not stack.client("sqs", read_timeout=1)
    assert stack.client("sqs").meta.endpoint_url == "http://127.0.0.1:1"


def test_s3_transfers_files_as_boto3_does(tmp_path: Path) -> None:
    client = Stack("http://127.0.0.1:1", "us-east-1").client("s3")
    with patch("boto3.s3.inject.upload_file", return_value="done") as upload:
        assert client.upload_file(str(tmp_path), "bucket", Key="key") == "done"
    upload.assert_called_once_with(client, str(tmp_path), "bucket", Key="key")
    for name in ("upload_fileobj", "download_file", "download_fileobj"):
        assert callable(getattr(client, name))
