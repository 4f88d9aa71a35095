"""The variables of a function process: those that AWS documents and the function's own, none of the host's.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

from pathlib import Path
from typing import Any

from localstack import config
from sluice_ext.address import engine_url


def variables(
    version: Any, *, log_group: str, log_stream: str, initialization: str, credentials: dict[str, str]
) -> dict[str, str]:
    """Variables that do not depend on where code and layers are. The function's own win where they do on AWS."""
    function, identity = version.config, version.id
    values = {
        "AWS_REGION": identity.region,
        "AWS_DEFAULT_REGION": identity.region,
        "AWS_LAMBDA_FUNCTION_NAME": identity.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": identity.qualifier,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "AWS_LAMBDA_INITIALIZATION_TYPE": initialization,
        "AWS_LAMBDA_LOG_GROUP_NAME": log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2000",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": function.handler or "",
        # boto3 would otherwise read the developer's ~/.aws.
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    logging_config = function.logging_config or {}
    if logging_config.get("LogFormat") == "JSON":
        values["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        values["AWS_LAMBDA_LOG_LEVEL"] = str(logging_config.get("ApplicationLogLevel", "INFO")).upper()
    if not config.LAMBDA_DISABLE_AWS_ENDPOINT_URL:
        values["AWS_ENDPOINT_URL"] = engine_url()
    values.update(function.environment or {})
    values |= {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }
    return values


def paths(values: dict[str, str], task_root: Path, opt: Path | None, python: str) -> dict[str, str]:
    """All variables, with the paths of code and layers. ``opt``: this environment's /opt; ``python``: like python3.13.

    https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html#packaging-layers-paths
    """
    programs, libraries, modules = ["/usr/local/bin", "/usr/bin", "/bin"], [], []
    if opt:
        programs.append(str(opt / "bin"))
        libraries.append(str(opt / "lib"))
        modules = [str(opt / "python" / "lib" / python / "site-packages"), str(opt / "python")]
    libraries = [str(task_root), str(task_root / "lib"), *libraries]
    found = {
        "LAMBDA_TASK_ROOT": str(task_root),
        "PATH": ":".join(programs),
        "LD_LIBRARY_PATH": ":".join(libraries),
        # A function's own PYTHONPATH comes after the task root (put first by the bootstrap) and before the layers.
        "PYTHONPATH": ":".join([p for p in (values.get("PYTHONPATH", ""), *modules) if p]),
    }
    return values | found
