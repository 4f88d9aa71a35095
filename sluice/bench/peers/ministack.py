"""MiniStack. It runs functions as Python processes that share its own environment, and unpacks their layers.

https://github.com/ministackorg/ministack
"""

from __future__ import annotations

from pathlib import Path

from sluice.bench.peers.peer import Peer
from sluice.engine.instance import HOST


def _settings(home: Path, port: int) -> dict[str, str]:
    for folder in ("tmp", "s3", "state"):
        (home / folder).mkdir()
    return {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "TMPDIR": str(home / "tmp"),
        "S3_DATA_DIR": str(home / "s3"),
        "STATE_DIR": str(home / "state"),
        "SFTP_ENABLED": "0",  # its port is fixed
        "LOG_LEVEL": "WARNING",  # its default writes a line for every call
    }


MINISTACK = Peer(
    name="ministack",
    version="1.5.33",
    requirements=("ministack==1.5.33", "boto3==1.43.106"),  # the botocore that this MiniStack pins
    command=lambda _: ("ministack",),
    settings=_settings,
    health="/_ministack/health",
)
