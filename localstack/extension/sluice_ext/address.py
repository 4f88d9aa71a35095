"""Where the processes that the engine starts reach it."""

from localstack import config


def engine_url() -> str:
    """URL at which functions and jobs reach the engine."""
    listen = config.GATEWAY_LISTEN[0]
    host = "127.0.0.1" if listen.host in ("0.0.0.0", "::") else listen.host
    return f"http://{host}:{listen.port}"
