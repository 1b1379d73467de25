"""cloud-init's own judgement of what machines are told, by the real `cloud-init schema`, which is not installed for it.

Installed, it would have a service that configures this machine at the next boot. So it is only unpacked, into the cache
folder, and run by our interpreter, which has what it imports (requirements-dev.in).
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.cache import cache_folder, made_once

_PACKAGE = "cloud-init"
_MODULES = Path("usr/lib/python3/dist-packages")
_SCHEMA = _MODULES / "cloudinit/config/schemas/schema-cloud-config-v1.json"
_SECONDS = 120.0


class UnavailableError(Exception):
    """No cloud-init could be got; the message says why."""


@dataclass(frozen=True, slots=True)
class CloudInit:
    """An unpacked cloud-init: the folder that holds its `usr`."""

    root: Path

    def faults(self, text: str) -> str:
        """What speaks against a cloud-config in the words of `cloud-init schema`; nothing where it is valid.

        Old versions, such as Debian 12's 22.4, accept keys that they do not know; new ones refuse them, and so do we.
        """
        with tempfile.TemporaryDirectory() as folder:  # only for us: the text may hold a private key
            file = Path(folder) / "user-data"
            file.write_text(text)
            environment = {
                "PATH": os.defpath,
                "LC_ALL": "C.UTF-8",
                "PYTHONPATH": str(self.root / _MODULES),
                "PYTHONDONTWRITEBYTECODE": "1",
            }
            module = [sys.executable, "-m", "cloudinit.cmd.main"]
            done = _run([*module, "schema", "--config-file", str(file)], environment)
        if done.returncode != 0:
            return done.stderr + done.stdout
        unknown = sorted(yaml.safe_load(text).keys() - self._keys())
        return f"keys that cloud-init does not know: {', '.join(unknown)}" if unknown else ""

    def _keys(self) -> set[str]:
        """What its schema knows at the top of a cloud-config: the keys of every module."""
        schema = json.loads((self.root / _SCHEMA).read_text())
        modules = (part["$ref"].rpartition("/")[2] for part in schema["allOf"])
        return {key for module in modules for key in schema["$defs"][module].get("properties", ())}


def there() -> bool:
    """Whether this machine has what downloads and unpacks it, as Debian and its like have."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None


def unpacked(cache: Path | None = None) -> CloudInit:
    """The cloud-init of this machine's distribution, downloaded by apt-get and unpacked once.

    Nothing outside the cache folder is written, and no root is needed. Raises UnavailableError where it cannot be
    downloaded, and where `there` says no.
    """
    if not there():
        raise UnavailableError("needs apt-get and dpkg-deb, to download and unpack cloud-init")
    release = platform.freedesktop_os_release()
    name = f"{_PACKAGE}-{release['ID']}-{release.get('VERSION_ID', 'rolling')}"
    place = (cache or cache_folder()) / name
    made_once(place, _unpack, lambda folder: (folder / _SCHEMA).is_file())
    return CloudInit(place)


def _unpack(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for part in ("lists/partial", "archives/partial"):
            (work / part).mkdir(parents=True)
        # apt's own indexes and downloads; the lists of packages are the machine's, if it has any that will do.
        apt = ["apt-get", "-o", f"Dir::Cache={work}", "-o", "APT::Sandbox::User=root"]
        if _run([*apt, "download", _PACKAGE], folder=work).returncode != 0:
            apt += ["-o", f"Dir::State::Lists={work}/lists"]
            for step in (["update"], ["download", _PACKAGE]):
                done = _run([*apt, *step], folder=work)
                if done.returncode != 0:
                    raise UnavailableError(f"apt-get could not download {_PACKAGE}: {done.stderr.strip()}")
        (package,) = work.glob(f"{_PACKAGE}_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True, timeout=_SECONDS)


def _run(
    command: list[str], environment: dict[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
