"""Clients of AWS, as boto3 makes them, for an engine or for a real account."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any


def new(service: str, endpoint_url: str | None, region: str, settings: Mapping[str, Any]) -> Any:
    """A client. endpoint_url: of an engine; None for the account whose credentials the environment holds. settings: of
    botocore's Config."""
    from botocore.config import Config

    if endpoint_url is None:
        return _session().create_client(service, region_name=region, config=Config(**settings))
    # No proxy stands before an engine on this machine.
    local: dict[str, Any] = {"max_pool_connections": 50, "retries": {"max_attempts": 2}, "proxies": {}, **settings}
    if service == "s3":
        local.setdefault("s3", {"addressing_style": "path"})
    return _session(isolated=True).create_client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(**local),
    )


@functools.cache
def _session(*, isolated: bool = False) -> Any:
    """botocore's session: a third of the time of importing boto3, whose clients are the same but for S3's transfers.

    isolated: without profiles, AWS_ variables and ~/.aws, which are about accounts and not about the engine.
    """
    import botocore.session

    session: Any = botocore.session.Session(_isolated_variables() if isolated else None)
    session.register("creating-client-class.s3", _add_transfers)
    return session


def _isolated_variables() -> dict[str, tuple[Any, ...]]:
    """botocore's settings with their defaults: read from no variable, and from configuration files that are empty."""
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as KNOWN

    files = ("config_file", "credentials_file")
    return {
        name: (place, None, os.devnull if name in files else default, cast)
        for name, (place, _, default, cast) in KNOWN.items()
    }


def _add_transfers(class_attributes: dict[str, Any], **_: Any) -> None:
    """Gives S3's client the methods that boto3 adds, and loads boto3 when one of them is called."""

    def lazily(name: str) -> Any:
        def call(self: Any, *given: Any, **named: Any) -> Any:
            from boto3.s3 import inject

            return getattr(inject, name)(self, *given, **named)

        return call

    for name in ("upload_file", "upload_fileobj", "download_file", "download_fileobj"):
        class_attributes[name] = lazily(name)
