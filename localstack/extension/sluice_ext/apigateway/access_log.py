"""Access logs: a line for each request in the stage's log group, in the stage's format.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
"""

import re
import time
from typing import Any

from localstack.http import Response
from localstack.services.apigateway.next_gen.execute_api.context import RestApiInvocationContext

from sluice_ext.logs.writer import WRITER

_VARIABLE = re.compile(r"\$context\.([A-Za-z.]+[A-Za-z])")


def begin(_chain: Any, context: RestApiInvocationContext, _response: Response) -> None:
    """Remember when the request arrived."""
    context.sluice_started = time.monotonic()


def end(_chain: Any, context: RestApiInvocationContext, response: Response) -> None:
    """Log the request if the stage has an access log."""
    settings = (context.stage_configuration or {}).get("accessLogSettings") or {}
    arn, form = settings.get("destinationArn", ""), settings.get("format")
    if not form or ":log-group:" not in arn:
        return
    parts = arn.split(":")
    line = line_of(form, context, response)
    # AWS spreads the log over several streams and chooses their names; here it is one stream.
    WRITER.add(parts[4], parts[3], parts[6], context.deployment_id or "access", line)


def line_of(form: str, context: RestApiInvocationContext, response: Response) -> str:
    """The log line: the format with its variables filled in, "-" for unknown ones."""
    started = getattr(context, "sluice_started", time.monotonic())
    known: dict[str, Any] = {
        "status": response.status_code,
        "responseLength": len(response.get_data()),
        "responseLatency": int((time.monotonic() - started) * 1000),
        "identity.sourceIp": context.request.remote_addr,
    }

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name in known:
            return str(known[name])
        current: Any = context.context_variables
        for part in name.split("."):
            current = current.get(part) if isinstance(current, dict) else None
        text = "-" if current is None or current == "" else str(current)
        # The client writes the path and the agent: they must not end the line or the quoted string around them.
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")

    return _VARIABLE.sub(value, form)
