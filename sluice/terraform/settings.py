"""Where Terraform stores its data and state, which providers it may take from disk, and the environment it runs in."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.console import SluiceError, fail
from sluice.engine.instance import HOST, Instance, localhost_environment, not_running
from sluice.environment import for_terraform, user_home, without
from sluice.paths import BIN_DIR, BUILD_DIR, CACHE_DIR, HOST_ENV, INFRA_DIR

REGISTRY = "registry.terraform.io"
MIRROR_VARIABLE = "SLUICE_TF_MIRROR"
LOCK = ".terraform.lock.hcl"
PARALLELISM = 40  # resources at a time, on an engine that has no rate limits


@dataclass(frozen=True)
class Workspace:
    """One place Terraform is run in. `stack` is the folder of the root module."""

    stack: Path
    data: Path
    state: Path | None
    """Local state; None when the state is in a bucket."""
    environment: dict[str, str]
    command: tuple[str, ...]
    backend: tuple[str, ...]
    """Values of -backend-config."""
    tflocal: Path | None = None
    """tflocal, when the code is to be run against the engine."""


def executable() -> str:
    """The terraform or tofu that set-up chose. Raises SluiceError when set-up has not run."""
    try:
        path = str(json.loads((BIN_DIR / "terraform.json").read_text())["path"])
    except (OSError, ValueError, KeyError):
        fail("terraform is not set up: run `make setup`", 1)
    if not Path(path).exists():
        fail(f"terraform is gone from {path}: run `make setup`", 1)
    return path


def mirror_candidates() -> list[Path]:
    """Folders that may mirror the registry: ours to set, Terraform's implied ones, then /opt/*."""
    home = user_home()
    data_home = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    wanted = os.environ.get(MIRROR_VARIABLE)
    candidates = [Path(wanted).expanduser()] if wanted else []
    # https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
    candidates += [home / ".terraform.d/plugins", data_home / "terraform/plugins",
                   Path("/usr/local/share/terraform/plugins"), Path("/usr/share/terraform/plugins")]  # fmt: skip
    candidates += sorted(path.parent for path in Path("/opt").glob(f"*/{REGISTRY}"))
    return candidates


def find_mirror(candidates: list[Path] | None = None) -> Path | None:
    """The first folder that mirrors the AWS provider, or None."""
    for folder in mirror_candidates() if candidates is None else candidates:
        provider = folder / REGISTRY / "hashicorp/aws"
        if provider.is_dir() and any(provider.iterdir()):
            return folder
    if os.environ.get(MIRROR_VARIABLE):
        fail(f"{MIRROR_VARIABLE}={os.environ[MIRROR_VARIABLE]} holds no {REGISTRY}/hashicorp/aws")
    return None


def cli_config(home: Path) -> Path | None:
    """Terraform's CLI configuration to run with, written under <home>/terraform/ when it is ours; None for its own.

    The user's own configuration ($TF_CLI_CONFIG_FILE when that file exists, ~/.terraformrc) is left to decide. Without
    one, providers come from a mirror on disk when there is one, else from the registry through a cache of ours.
    """
    named = os.environ.get("TF_CLI_CONFIG_FILE")
    if named and Path(named).exists():
        return Path(named)
    if (user_home() / ".terraformrc").exists():
        return None
    mirror = find_mirror()
    if mirror is None:
        cache = CACHE_DIR / "terraform-providers"
        cache.mkdir(parents=True, exist_ok=True)
        text = f"plugin_cache_dir = {_quoted(cache)}\nplugin_cache_may_break_dependency_lock_file = true\n"
    else:
        names = sorted(f"{REGISTRY}/{path.parent.name}/{path.name}" for path in (mirror / REGISTRY).glob("*/*"))
        listed = json.dumps(names)
        text = (
            f"provider_installation {{\n  filesystem_mirror {{\n    path    = {_quoted(mirror)}\n"
            f"    include = {listed}\n  }}\n"
            f"  direct {{\n    exclude = {listed}\n  }}\n}}\n"
        )
    path = home / "terraform" / "cli.tfrc"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path


def _quoted(path: Path) -> str:
    """A path as a string of HCL."""
    return json.dumps(str(path), ensure_ascii=False)


def common_environment(home: Path) -> dict[str, str]:
    """This process's environment as every Terraform run wants it: quiet, and with a configuration that exists."""
    environment = for_terraform()
    config = cli_config(home)
    if config is not None:
        environment["TF_CLI_CONFIG_FILE"] = str(config)
    environment.update(TF_IN_AUTOMATION="1", TF_INPUT="0", CHECKPOINT_DISABLE="1", TF_VAR_artifacts_dir=str(BUILD_DIR))
    # Terraform and the provider mostly build schemas that live to the end: collecting garbage less often saves a
    # seventh of a plan's processor time, and costs memory for those seconds.
    environment.setdefault("GOGC", "400")
    return environment


def local_environment(instance: Instance) -> dict[str, str]:
    """The environment in which tflocal reaches a running instance, whatever account the shell is logged in to."""
    info = instance.info()
    if info is None or not info.engine.alive():
        fail(not_running(info), 1)
    # The state is read here, too: it stays plain.
    environment = without(common_environment(instance.home), "AWS_", "TF_ENCRYPTION")
    environment.update(localhost_environment(info))
    environment.update(
        TF_DATA_DIR=str(data_dir(instance)),
        TF_CMD=executable(),
        AWS_EC2_METADATA_DISABLED="true",
        DISABLE_DEPRECATION_NOTICE="1",
        # Queues, lifecycles, endpoints and databases are mostly waited for, 25 to 55 s each by the provider's own
        # clock: ten at a time, Terraform's default, would let what the rest hangs on wait behind them.
        **{f"TF_CLI_ARGS_{verb}": f"-parallelism={PARALLELISM}" for verb in ("plan", "apply", "destroy")},
    )
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, (environment.get(name), HOST, "localhost")))
    return environment


def data_dir(instance: Instance) -> Path:
    return instance.terraform_data_dir


def state_file(instance: Instance) -> Path:
    return instance.terraform_state


def outputs_of(state: Path) -> dict[str, Any]:
    """The outputs in a local state, empty when there is none. Raises SluiceError when it cannot be read."""
    try:
        found = json.loads(state.read_text(encoding="utf-8")).get("outputs", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SluiceError(f"Terraform's state cannot be read ({state}): {error}") from error
    return {name: entry.get("value") for name, entry in found.items()}


def local_workspace(instance: Instance, infra_dir: Path | None = None) -> Workspace:
    """Where an instance's Terraform runs. tflocal writes a file beside the code, so only the default instance uses
    the checkout's own infra/; the others get a copy."""
    infra = infra_dir or (INFRA_DIR if instance.is_default else copy_infra(instance.home / "infra"))
    state = state_file(instance)
    return Workspace(
        stack=infra / "stack",
        data=data_dir(instance),
        state=state,
        environment=local_environment(instance),
        command=(executable(),),
        backend=(f"path={state}",),
        tflocal=HOST_ENV / "bin" / "tflocal",
    )


def copy_infra(target: Path) -> Path:
    """A copy of infra/'s code, made or brought up to date file by file: another run may work in its folders now, and
    leave a state there. What Terraform and tflocal made in the copy stays."""
    wanted = {path.relative_to(INFRA_DIR) for path in INFRA_DIR.rglob("*") if path.is_file() and _is_code(path)}
    for name in wanted:
        content, file = (INFRA_DIR / name).read_bytes(), target / name
        if not file.exists() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f"{file.name}.{os.getpid()}")
            partial.write_bytes(content)
            partial.replace(file)
    for file in target.rglob("*.tf"):
        if _is_code(file) and file.relative_to(target) not in wanted:
            file.unlink(missing_ok=True)
    return target


def _is_code(path: Path) -> bool:
    parts = path.relative_to(INFRA_DIR if path.is_relative_to(INFRA_DIR) else path.anchor).parts
    made = path.name == LOCK or path.name.endswith("_override.tf") or ".tfstate" in path.name
    return not (made or ".terraform" in parts or parts[0] == "tests")


def shell_environment(instance: Instance) -> dict[str, str]:
    """What `sluice env` exports: any AWS client reaches the engine, and tflocal in infra/stack shares our state."""
    environment = local_environment(instance)
    names = ("TF_DATA_DIR", "TF_CLI_CONFIG_FILE", "TF_VAR_artifacts_dir", "TF_CMD", "DISABLE_DEPRECATION_NOTICE",
             "AWS_EC2_METADATA_DISABLED", "CHECKPOINT_DISABLE", "NO_PROXY", "no_proxy",
             "TF_CLI_ARGS_plan", "TF_CLI_ARGS_apply", "TF_CLI_ARGS_destroy")  # fmt: skip
    info = instance.info()
    exported = {} if info is None else localhost_environment(info)
    if deployed := outputs_of(state_file(instance)).get("region"):
        exported.update(AWS_REGION=str(deployed), AWS_DEFAULT_REGION=str(deployed))
    exported.update({name: environment[name] for name in names if name in environment})
    # Terraform splits the value as a shell would.
    exported["TF_CLI_ARGS_init"] = shlex.quote(f"-backend-config=path={state_file(instance)}")
    exported["SLUICE_HOME"] = str(instance.home)
    return exported
