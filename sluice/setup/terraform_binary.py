"""Terraform for those who have none: the machine's own when it is new enough, else a pinned release, checked.

Standard library only, any Python from 3.8 on (see sluice/setup/bootstrap.py).
"""

import hashlib
import json
import os
import platform
import shutil
import zipfile
from pathlib import Path
from typing import Dict, Optional

from sluice.setup.machine import SetupError, answers

TERRAFORM_VERSION = "1.11.4"
TERRAFORM_URL = "https://releases.hashicorp.com/terraform"
TERRAFORM_SHA256 = {  # of terraform_1.11.4_<platform>.zip, from HashiCorp's terraform_1.11.4_SHA256SUMS
    "linux_amd64": "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc",
    "linux_arm64": "a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633",
    "darwin_amd64": "a56d5002b9f7647291faccc3dd1a70350e60fb61e4c45037629508b8fdc2575b",
    "darwin_arm64": "867e0808fa971217043e25b7a792b10720c79b1546f8a68479b74f138be73e18",
}
# What infra/stack/versions.tf asks for.
TERRAFORM_MINIMUM = {"terraform": (1, 9), "tofu": (1, 9)}


def terraform_on_path() -> Optional[str]:
    return shutil.which("terraform") or shutil.which("tofu")


def terraform_is_fresh(root: Path) -> bool:
    """True when the Terraform found last time is the one that would be found now, unchanged."""
    try:
        seen = json.loads((root / ".sluice/bin/terraform.json").read_text())
        stat = os.stat(seen["path"])
    except (OSError, ValueError, KeyError):
        return False
    unchanged = seen.get("mtime") == stat.st_mtime and seen.get("size") == stat.st_size
    return bool(unchanged and seen.get("on_path") == terraform_on_path())


def terraform_platform() -> str:
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    return "{}_{}".format(platform.system().lower(), machine.get(platform.machine().lower(), platform.machine()))


def usable_version(path: str) -> Optional[str]:
    """Version of a terraform or tofu that runs and is new enough, else None."""
    try:
        version = str(json.loads(answers([path, "version", "-json"]) or "{}").get("terraform_version", ""))
        numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:2])
    except ValueError:
        return None
    return version if numbers >= TERRAFORM_MINIMUM[os.path.basename(path)] else None


def download_terraform(
    folder: Path,
    url: str = TERRAFORM_URL,
    checksums: Optional[Dict[str, str]] = None,
    platform_name: Optional[str] = None,
) -> Path:
    """Downloads Terraform at the pinned version, checks its SHA-256 before unpacking, and returns its path."""
    # Loaded here: a set-up that has nothing to do pays for no HTTP client.
    from urllib.error import URLError
    from urllib.request import urlopen

    name = platform_name or terraform_platform()
    expected = (TERRAFORM_SHA256 if checksums is None else checksums).get(name)
    install = "install terraform {} or later".format(".".join(map(str, TERRAFORM_MINIMUM["terraform"])))
    if expected is None:
        raise SetupError("terraform is missing and none is pinned for {}: {}".format(name, install))
    address = "{0}/{1}/terraform_{1}_{2}.zip".format(url, TERRAFORM_VERSION, name)
    folder.mkdir(parents=True, exist_ok=True)
    partial, target = folder / "terraform.zip.part", folder / "terraform"
    try:
        digest = hashlib.sha256()
        with urlopen(address, timeout=60) as response, partial.open("wb") as out:
            for block in iter(lambda: response.read(1 << 20), b""):
                digest.update(block)
                out.write(block)
        if digest.hexdigest() != expected:
            raise SetupError(
                "{} has SHA-256 {}, expected {}: {}".format(address, digest.hexdigest(), expected, install)
            )
        with zipfile.ZipFile(str(partial)) as archive, archive.open("terraform") as source:
            unpacked = folder / "terraform.part"
            with unpacked.open("wb") as out:
                shutil.copyfileobj(source, out)
        unpacked.chmod(0o755)
        unpacked.replace(target)
    except (URLError, OSError, zipfile.BadZipFile, KeyError) as error:
        reason = getattr(error, "reason", None) or error
        raise SetupError(
            "terraform is missing and {} cannot be had ({}): {}".format(address, reason, install)
        ) from None
    finally:
        if partial.exists():
            partial.unlink()
    return target


def ensure_terraform(root: Path) -> str:
    """Finds or downloads Terraform, remembers which, and returns what to print about it."""
    folder = root / ".sluice/bin"
    on_path = terraform_on_path()
    chosen, version = on_path, usable_version(on_path) if on_path else None
    if version is None:
        tofu = shutil.which("tofu")
        chosen, version = tofu, usable_version(tofu) if tofu else None
    if version is None or chosen is None:
        chosen = str(folder / "terraform")
        version = usable_version(chosen) if os.path.exists(chosen) else None
        if version != TERRAFORM_VERSION:
            download_terraform(folder)
            version = TERRAFORM_VERSION
    stat = os.stat(chosen)
    folder.mkdir(parents=True, exist_ok=True)
    seen = {"path": chosen, "version": version, "mtime": stat.st_mtime, "size": stat.st_size, "on_path": on_path}
    (folder / "terraform.json").write_text(json.dumps(seen))
    return "{} {}".format(os.path.basename(chosen), version)
