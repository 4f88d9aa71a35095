"""Shells that are prepared for other projects, odd paths, poor terminals: what Sluice starts works in all of them."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sluice import cli, environment, paths
from sluice.commands import env as env_verb
from sluice.engine import servers
from sluice.engine.embedded import localstack
from sluice.engine.instance import EngineInfo, Instance
from sluice.paths import ROOT, STACK_DIR
from sluice.pipeline.stack import Stack
from sluice.processes import ProcessId
from sluice.setup import bootstrap, machine
from sluice.setup.machine import SetupError
from sluice.terraform import settings, varfile
from tests.support.shells import HOSTILE

ODD = "mein Prüf'stand (1) #x%20"


@pytest.fixture(autouse=True)
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)


class TestServers:
    def test_they_get_the_machines_variables_and_nothing_of_another_project(self, tmp_path: Path) -> None:
        found = localstack.base_environment(Instance(tmp_path))
        assert found.keys() - {"SLUICE_INSTANCE", "NO_PROXY", "no_proxy"} <= environment.of_machine().keys()
        assert not [name for name in HOSTILE if name in found and name not in environment.of_machine()]
        assert {"SERVICES", "PERSISTENCE", "DEBUG", "PGDATA", "AWS_PROFILE", "PYTHONHOME"}.isdisjoint(found)
        assert found["PATH"] == os.environ["PATH"]

    def test_the_documented_settings_of_localstack_still_reach_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LAMBDA_RETRY_BASE_DELAY", "7")
        started: dict[str, Mapping[str, str]] = {}
        monkeypatch.setattr(localstack.subprocess, "Popen", lambda *_, env, **__: started.update(env=env))
        instance = Instance(tmp_path)
        instance.logs_dir.mkdir(parents=True)
        localstack.start(instance, 4566, faults=False, postgres_port=5432, password="p", extra={"SLUICE_STATE": "s"})
        assert started["env"]["LAMBDA_RETRY_BASE_DELAY"] == "7"
        assert started["env"]["SLUICE_STATE"] == "s"
        assert started["env"]["GATEWAY_LISTEN"] == "127.0.0.1:4566"
        assert started["env"]["HOME"].startswith(str(tmp_path)), "nothing is written to the user's home"

    def test_a_folder_for_temporary_files_that_cannot_be_written_to_is_replaced(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TMPDIR", "/proc/nowhere")
        monkeypatch.setattr(environment.tempfile, "tempdir", None)
        assert environment.of_machine()["TMPDIR"] != "/proc/nowhere"
        assert environment.for_terraform()["TMPDIR"] != "/proc/nowhere"


class TestTerraform:
    def test_it_gets_no_workspace_options_or_data_of_another_project(self, tmp_path: Path) -> None:
        found = settings.common_environment(tmp_path)
        assert {name for name in found if name.startswith("TF_CLI_ARGS")} == set()
        assert {"TF_WORKSPACE", "TF_DATA_DIR", "TF_REATTACH_PROVIDERS", "PYTHONHOME", "PYTHONPATH"}.isdisjoint(found)
        assert found["TF_VAR_artifacts_dir"] == str(settings.BUILD_DIR)

    def test_what_is_the_users_to_say_reaches_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        given = {"TF_VAR_log_retention_days": "3", "TF_TOKEN_app_terraform_io": "t", "TF_LOG": "warn"}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        found = settings.common_environment(tmp_path)
        assert given.items() <= found.items()

    def test_a_long_folder_for_temporary_files_leaves_room_for_the_providers_sockets(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        long = tmp_path / ("x" * 90)
        long.mkdir()
        monkeypatch.setattr(environment.tempfile, "tempdir", str(long))
        assert environment.for_terraform()["TMPDIR"] == "/tmp"

    def test_paths_in_its_configuration_are_quoted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / 'a "mirror"'
        (folder / settings.REGISTRY / "hashicorp/aws/5.100.0/linux_amd64").mkdir(parents=True)
        monkeypatch.setenv(settings.MIRROR_VARIABLE, str(folder))
        monkeypatch.setenv("HOME", str(tmp_path))
        config = settings.cli_config(tmp_path / ODD)
        assert config is not None
        assert '/a \\"mirror\\""' in config.read_text(encoding="utf-8")

    def test_a_machine_that_knows_of_no_home_has_no_configuration_in_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(environment.Path, "home", unknown)
        assert not environment.user_home().exists()
        assert settings.mirror_candidates()


def running(home: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """An instance whose engine.json names this process."""
    this = ProcessId.of(os.getpid())
    home.mkdir(parents=True, exist_ok=True)
    instance = Instance(home)
    instance.write_info(EngineInfo(4566, 5432, "p", "2026-01-01T00:00:00+00:00", False, this, this))
    monkeypatch.setattr(settings, "executable", lambda: "terraform")
    monkeypatch.setattr(settings, "cli_config", lambda _: None)
    return instance


def test_variables_of_the_stack_that_come_from_the_shell_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.tfvars"
    file.write_bytes(b'bucket_suffix = "a"\r\nregion = "eu-west-1"\r\n')
    shell = dict.fromkeys(
        ("TF_VAR_bucket_suffix", "TF_VAR_kms_key_arn", "TF_VAR_name", "TF_VAR_unknown", "TF_VAR_artifacts_dir"), "x"
    )
    found = varfile.taken_from_shell(shell, file, STACK_DIR, ["name"])
    assert found == ["TF_VAR_kms_key_arn"]


class TestShell:
    def test_a_state_in_a_path_with_blanks_is_one_word_for_terraform(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = settings.shell_environment(running(tmp_path / ODD, monkeypatch))
        words = shlex.split(found["TF_CLI_ARGS_init"])
        assert words == [f"-backend-config=path={tmp_path / ODD}/terraform/terraform.tfstate"]

    def test_a_shells_region_is_that_of_the_deployed_stack(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance = running(tmp_path, monkeypatch)
        state = settings.state_file(instance)
        state.parent.mkdir(parents=True)
        state.write_text('{"outputs": {"region": {"value": "us-west-2"}}}')
        found = settings.shell_environment(instance)
        assert (found["AWS_REGION"], found["AWS_DEFAULT_REGION"]) == ("us-west-2", "us-west-2")

    def test_what_would_lead_clients_and_terraform_elsewhere_is_unset(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        instance = running(tmp_path, monkeypatch)
        monkeypatch.setattr(env_verb, "_warehouse", lambda _: {env_verb.WAREHOUSE: "postgresql://x"})
        monkeypatch.setattr("sluice.terraform.ensure_init", lambda _: None)
        monkeypatch.setattr("sluice.paths.link_commands", lambda: None)
        monkeypatch.setattr(Instance, "default", classmethod(lambda _: instance))
        env_verb.env()
        lines = capsys.readouterr().out.splitlines()
        unset = set(lines[0].removeprefix("unset ").split())
        assert {"AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "TF_WORKSPACE", "TF_CLI_ARGS", "PGHOSTADDR", "PGSERVICE",
                "PGSSLMODE", "AWS_USE_FIPS_ENDPOINT", "TF_REATTACH_PROVIDERS"} <= unset  # fmt: skip
        exported = {line.removeprefix("export ").partition("=")[0] for line in lines[1:]}
        assert unset.isdisjoint(exported)
        assert {"TF_CLI_ARGS_plan", "TF_CLI_ARGS_init", "TF_DATA_DIR", "AWS_REGION"} <= exported


def test_clients_of_the_engine_read_no_profile_endpoint_or_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Stack("http://127.0.0.1:1", "us-west-2").client("s3")
    assert (client.meta.endpoint_url, client.meta.region_name) == ("http://127.0.0.1:1", "us-west-2")
    assert client.meta.config.proxies == {}
    assert client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"}).startswith(
        "http://127.0.0.1:1/b/k?"
    )


def test_a_server_of_ours_is_asked_without_the_variables_of_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def connect(**_: object) -> None:
        import psycopg

        seen.extend(name for name in os.environ if name.startswith("PG"))
        raise psycopg.OperationalError("no answer")

    monkeypatch.setattr("psycopg.connect", connect)
    assert servers.postgres_version(1, "p") is None
    assert seen == []
    assert os.environ["PGSERVICE"] == HOSTILE["PGSERVICE"]


class TestSetUp:
    def test_the_command_runs_from_any_path_and_isolated_from_another_pythons_variables(self, tmp_path: Path) -> None:
        folder = tmp_path / ODD / ("long" * 30)
        (folder / "bin").mkdir(parents=True)
        (folder / "bin/python").symlink_to(sys.executable)
        script = folder / "bin/sluice"
        text = bootstrap.launcher(folder / "bin/python")
        script.write_text(text.replace("from sluice.cli import main\n\nmain()", "import sys; print(sys.argv[1:])"))
        script.chmod(0o755)
        done = subprocess.run([str(script), "a b", "ü"], capture_output=True, check=True, env=dict(os.environ))
        assert done.stdout.decode() == "['a b', 'ü']\n"

    @pytest.mark.parametrize("char", ['"', "$", "`", "\\", ":", "\n"])
    def test_a_path_that_cannot_work_is_named_at_once(
        self, char: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        root = tmp_path / f"a{char}b"
        assert bootstrap.main(["--root", str(root)]) == 1
        err = capsys.readouterr().err
        assert err.startswith("sluice: the path of the checkout has a ")
        assert err.count("\n") == 1
        assert not root.exists()

    def test_a_path_that_is_no_text_is_named_at_once(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert bootstrap.main(["--root", os.fsdecode(os.fsencode(tmp_path) + b"/\xff")]) == 1
        assert "is not UTF-8: move it" in capsys.readouterr().err

    def test_an_odd_path_is_accepted(self, tmp_path: Path) -> None:
        bootstrap.check_path(tmp_path / ODD)
        with pytest.raises(SetupError):
            bootstrap.check_path(tmp_path / '"')

    def test_an_environment_that_was_made_elsewhere_is_made_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands: list[list[str]] = []

        def run(words: list[object], *_: object, **__: object) -> str:
            commands.append([str(word) for word in words])
            (env.folder / "bin").mkdir(parents=True, exist_ok=True)
            return ""

        (tmp_path / "lock").touch()

        monkeypatch.setattr(bootstrap, "run", run)
        monkeypatch.setattr(bootstrap, "answers", lambda _: "Python")
        monkeypatch.setattr(bootstrap, "compile_modules", lambda _: None)
        env = bootstrap.Env("x", tmp_path / "one/x", tmp_path / "lock")
        for made in (True, False):
            commands.clear()
            bootstrap.build_environment(env, tmp_path, "python", "uv", tmp_path / "log")
            assert [words[1] for words in commands] == (["venv", "pip"] if made else ["pip"])
        shutil.move(tmp_path / "one", tmp_path / "two")
        env = env._replace(folder=tmp_path / "two/x")
        commands.clear()
        bootstrap.build_environment(env, tmp_path, "python", "uv", tmp_path / "log")
        assert [words[1] for words in commands] == ["venv", "pip"]

    def test_uv_has_a_cache_in_the_checkout_where_the_home_cannot_be_written_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("XDG_CACHE_HOME", "UV_CACHE_DIR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", "/proc/nowhere")
        assert machine.cache_settings() == {"UV_CACHE_DIR": str(ROOT / ".sluice/cache/uv")}
        monkeypatch.setenv("HOME", str(tmp_path))
        assert machine.cache_settings() == {}

    def test_uv_works_in_no_other_projects_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "pip_settings", lambda _: {})
        assert {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"}.isdisjoint(machine.uv_environment("python"))


class TestMake:
    def test_set_up_answers_although_the_shell_is_another_projects(self) -> None:
        done = subprocess.run(["make", "setup"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, "Fatal Python error" in done.stderr) == (0, False), done.stderr


def test_commands_on_path_call_the_tool_without_another_projects_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / ODD / "host/bin/tflocal"
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/bin/sh\necho "${PYTHONHOME-none} $1"\n')
    tool.chmod(0o755)
    monkeypatch.setattr(paths, "HOST_ENV", tool.parents[1])
    monkeypatch.setattr(paths, "BIN_DIR", tmp_path / ODD / "bin")
    paths.link_commands()
    done = subprocess.run([paths.BIN_DIR / "tflocal", "a b"], capture_output=True, text=True, check=True)
    assert done.stdout == "none a b\n"


class TestOutput:
    def test_it_is_utf_8_in_every_locale_and_half_a_character_is_no_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
        environment.make_printable()
        print("Prüfung \ud83d")
        sys.stdout.flush()
        assert raw.getvalue() == "Prüfung \\ud83d\n".encode()

    def test_a_verb_prints_in_a_shell_that_has_only_ascii(self) -> None:
        code = "import sys; from sluice import cli; sys.argv = ['sluice', 'check', '--help']; cli.main()"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False,
            env=environment.without(os.environ, "PYTHONHOME", "PYTHONPATH", "COLUMNS"),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "sluice check" in done.stdout.decode()


def test_a_checkout_that_converts_line_ends_has_the_same_bytes(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    attributes = subprocess.run(
        ["git", "check-attr", "-z", "--stdin", "text", "eol"], cwd=ROOT, input=listed, capture_output=True, check=True
    ).stdout.split(b"\0")
    found: dict[str, dict[str, str]] = {}
    for path, attribute, value in zip(attributes[::3], attributes[1::3], attributes[2::3], strict=False):
        found.setdefault(os.fsdecode(path), {})[attribute.decode()] = value.decode()
    assert len(names) > 500
    converted = [name for name in names if found[name]["text"] != "unset" and found[name]["eol"] != "lf"]
    assert converted == [], "core.autocrlf would put CR LF into these"


def test_every_script_of_the_checkout_begins_with_a_line_that_a_kernel_can_read() -> None:
    for path in (path for folder in ("sluice", "localstack", "examples") for path in (ROOT / folder).rglob("*")):
        if path.is_file() and path.stat().st_mode & stat.S_IXUSR and path.suffix in (".py", ".sh", ""):
            head = path.read_bytes()[:200].split(b"\n")[0]
            assert not head.startswith(b"#!") or b"\r" not in head, path


def test_the_command_line_drops_another_projects_python_for_what_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sluice", "--version"])
    monkeypatch.setattr(cli, "run", lambda: 0)
    with pytest.raises(SystemExit):
        cli.main()
    assert {"PYTHONHOME", "PYTHONPATH"}.isdisjoint(os.environ)
