"""Set-up: what it looks for, what it downloads, when it has nothing to do."""

from __future__ import annotations

import ast
import hashlib
import http.server
import io
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.paths import ROOT
from sluice.setup import bootstrap, machine, terraform_binary

PLATFORM = "linux_amd64"


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def terraform_zip(member: str = "terraform") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, "#!/bin/sh\necho it runs\n")
    return buffer.getvalue()


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server of Terraform releases on the loopback address: its URL, and the folder it serves."""
    folder = tmp_path / "releases"
    (folder / terraform_binary.TERRAFORM_VERSION).mkdir(parents=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder / terraform_binary.TERRAFORM_VERSION
        server.shutdown()


def publish(folder: Path, data: bytes) -> dict[str, str]:
    (folder / f"terraform_{terraform_binary.TERRAFORM_VERSION}_{PLATFORM}.zip").write_bytes(data)
    return {PLATFORM: hashlib.sha256(data).hexdigest()}


def test_terraform_is_downloaded_checked_and_runs(releases: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = releases
    checksums = publish(folder, terraform_zip())
    path = terraform_binary.download_terraform(tmp_path / "bin", url, checksums, PLATFORM)
    assert subprocess.run([path], capture_output=True, text=True, check=True).stdout == "it runs\n"
    assert sorted(p.name for p in (tmp_path / "bin").iterdir()) == ["terraform"]


def test_a_download_with_another_checksum_is_refused_and_nothing_is_left(
    releases: tuple[str, Path], tmp_path: Path
) -> None:
    url, folder = releases
    publish(folder, terraform_zip())
    with pytest.raises(machine.SetupError, match="expected 0000"):
        terraform_binary.download_terraform(tmp_path / "bin", url, {PLATFORM: "0000"}, PLATFORM)
    assert list((tmp_path / "bin").iterdir()) == []


def test_a_zip_without_terraform_is_refused(releases: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = releases
    checksums = publish(folder, terraform_zip("README"))
    with pytest.raises(machine.SetupError, match="install terraform 1.9 or later"):
        terraform_binary.download_terraform(tmp_path / "bin", url, checksums, PLATFORM)


def test_a_missing_release_says_what_to_install(releases: tuple[str, Path], tmp_path: Path) -> None:
    with pytest.raises(machine.SetupError, match="cannot be had .*: install terraform 1.9 or later"):
        terraform_binary.download_terraform(tmp_path / "bin", releases[0], {PLATFORM: "0000"}, PLATFORM)


def test_a_platform_without_a_pinned_checksum_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(machine.SetupError, match="none is pinned for plan9_amd64: install terraform"):
        terraform_binary.download_terraform(tmp_path / "bin", platform_name="plan9_amd64")


def test_every_pinned_checksum_is_a_sha256() -> None:
    assert set(terraform_binary.TERRAFORM_SHA256) == {"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"}
    assert all(len(bytes.fromhex(value)) == 32 for value in terraform_binary.TERRAFORM_SHA256.values())


@pytest.mark.parametrize(
    ("name", "version", "usable"),
    [("terraform", "1.8.5", None), ("terraform", "1.11.4", "1.11.4"), ("terraform", "2.0.0-beta1", "2.0.0-beta1"),
     ("tofu", "1.8.9", None), ("tofu", "1.10.0", "1.10.0")],
)  # fmt: skip
def test_a_terraform_is_usable_from_its_minimum_on(name: str, version: str, usable: str | None, tmp_path: Path) -> None:
    path = script(tmp_path / name, f"""echo '{{"terraform_version": "{version}"}}'""")
    assert terraform_binary.usable_version(str(path)) == usable


def test_a_terraform_that_fails_is_not_usable(tmp_path: Path) -> None:
    assert terraform_binary.usable_version(str(script(tmp_path / "terraform", "exit 1"))) is None


def test_a_shim_that_exists_and_fails_is_passed_over(tmp_path: Path) -> None:
    shim = script(tmp_path / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    assert machine.find_python(iter([str(shim), sys.executable])) == sys.executable


def test_a_python_of_another_version_is_passed_over(tmp_path: Path) -> None:
    other = script(tmp_path / "python3.13", "echo '3.12 /usr/bin/python3.12'")
    with pytest.raises(machine.SetupError, match=r"Python 3\.13 is missing: install it"):
        machine.find_python(iter([str(other), "", str(tmp_path / "absent")]))


def test_pip_settings_reach_uv_where_it_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = script(
        tmp_path / "python",
        "cat <<'E'\nglobal.index-url='https://index.example/simple'\nglobal.cert='/certs/ca.pem'\n"
        "install.extra-index-url='https://a.example\\nhttps://b.example'\nbroken\nE",
    )
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/mine.pem")
    assert machine.pip_settings(str(python)) == {
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "UV_INDEX": "https://a.example https://b.example",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    monkeypatch.setenv("UV_INDEX_URL", "https://own.example")
    assert "UV_DEFAULT_INDEX" not in machine.pip_settings(str(python))


@pytest.fixture
def checkout(tmp_path: Path) -> tuple[Path, bootstrap.Env]:
    """A checkout with one lock, and the environment that belongs to it, finished."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/host.txt").write_text("a==1\n")
    env = bootstrap.environments(tmp_path)[0]
    script(env.folder / "bin/python", "exit 0")
    (env.folder / ".stamp").write_text(bootstrap.stamp_of(env, tmp_path))
    return tmp_path, env


def test_a_finished_environment_is_fresh_until_its_lock_changes(checkout: tuple[Path, bootstrap.Env]) -> None:
    root, env = checkout
    assert bootstrap.is_fresh(env, root)
    env.lock.write_text("a==2\n")
    assert not bootstrap.is_fresh(env, root)


def test_an_environment_whose_interpreter_went_away_is_not_fresh(checkout: tuple[Path, bootstrap.Env]) -> None:
    root, env = checkout
    (env.folder / "bin/python").unlink()
    assert not bootstrap.is_fresh(env, root)


def test_an_interrupted_environment_is_not_fresh(checkout: tuple[Path, bootstrap.Env]) -> None:
    root, env = checkout
    (env.folder / ".stamp").unlink()
    assert not bootstrap.is_fresh(env, root)


def test_a_moved_checkout_is_not_fresh(checkout: tuple[Path, bootstrap.Env], tmp_path: Path) -> None:
    root, env = checkout
    assert bootstrap.stamp_of(env, root) != bootstrap.stamp_of(env, tmp_path / "elsewhere")


def test_a_finished_set_up_is_noticed_in_well_under_two_seconds() -> None:
    command = [sys.executable, "-I", "-S", str(ROOT / "sluice/setup/bootstrap.py"), "--verbose"]
    subprocess.run(command, check=True, capture_output=True)
    began = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "set-up is complete" in done.stderr
    assert time.monotonic() - began < 2


def test_set_up_can_be_read_by_python_3_8() -> None:
    sources = [ROOT / "sluice/__init__.py", *(ROOT / "sluice/setup").glob("*.py")]
    assert len(sources) == 6
    for source in sources:
        ast.parse(source.read_text(), feature_version=(3, 8))


def test_set_up_fails_with_one_line_and_code_1(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/host.txt").write_text("")
    terraform = script(tmp_path / "bin/terraform", """echo '{"terraform_version": "1.11.4"}'""")
    # No Python 3.13 anywhere: an interpreter that says it is another version stands for the machine's.
    fake = tmp_path / "run.py"
    fake.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom sluice.setup import bootstrap, machine\n"
        f"machine.python_candidates = lambda: iter(())\nsys.exit(bootstrap.main(['--root', {str(tmp_path)!r}]))\n"
    )
    done = subprocess.run(
        [sys.executable, str(fake)], capture_output=True, text=True, env={"PATH": str(terraform.parent)}, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("sluice: Python 3.13 is missing: install it")
    assert "Traceback" not in done.stderr


def test_locks_name_no_host_and_pin_hashes() -> None:
    locks = [*ROOT.glob("requirements/*.txt"), *ROOT.glob("lambdas/requirements/*.txt")]
    assert len(locks) == 8
    for lock in locks:
        text = lock.read_text()
        assert "http" not in text, lock
        assert "--hash=sha256:" in text, lock


def test_the_sluice_command_is_linked_to_the_checkout(tmp_path: Path) -> None:
    env = bootstrap.Env("host tool", tmp_path / "host", tmp_path / "lock", (), (tmp_path / "a", tmp_path / "b"))
    site = env.folder / "lib/python3.13/site-packages"
    site.mkdir(parents=True)
    (env.folder / "bin").mkdir()
    bootstrap.link_project(env)
    assert (site / "_sluice_checkout.pth").read_text().splitlines() == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert (env.folder / "bin/sluice").stat().st_mode & stat.S_IXUSR
