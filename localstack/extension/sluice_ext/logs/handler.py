"""Function logs: passes the log of each invocation from LocalStack's Lambda service to the log writer."""

from typing import Any

from localstack.utils.bootstrap import is_api_enabled

from sluice_ext.iam import behalf
from sluice_ext.logs.writer import WRITER


class BatchingLogHandler:
    """Replaces LocalStack's LogHandler; there is one for each function version."""

    def __init__(self, role_arn: str, region: str) -> None:
        self.role_arn, self.region = role_arn, region
        self.account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else "000000000000"

    def start_subscriber(self) -> None:
        """Nothing to start."""

    def add_logs(self, log_item: Any) -> None:
        """Queue the log of one invocation."""
        group, stream = log_item.log_group, log_item.log_stream
        if is_api_enabled("logs") and behalf.may_write_log(self.role_arn, self.region, group, stream):
            WRITER.add(self.account, self.region, group, stream, log_item.logs)

    def stop(self) -> None:
        """The version ends: write now, so that a log group that is deleted next is not created again."""
        WRITER.flush()
