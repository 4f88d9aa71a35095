"""Writing to CloudWatch Logs off the request path: function logs, and the access logs of API Gateway."""

import sys


def shutdown() -> None:
    """Write the log events that are still waiting."""
    # Not imported for this: an engine that never wrote a log has nothing to write now.
    if writer := sys.modules.get("sluice_ext.logs.writer"):
        writer.WRITER.flush()
