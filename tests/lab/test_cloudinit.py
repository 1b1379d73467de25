"""The real `cloud-init schema`, not installed, judges what we tell machines: it takes ours, and no broken one."""

import os
import shutil
import subprocess
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from lab.cloudinit import CloudInit, UnavailableError, there, unpacked
from mesh import cloudinit, sshkeys
from tests.lab import fakes

HOST, OPERATOR = sshkeys.generate(), sshkeys.public_key(sshkeys.generate())
USER_DATA = cloudinit.user_data(HOST, OPERATOR)
ROUTES = cloudinit.routes([ip_network("10.10.0.0/16"), ip_network("10.20.0.0/24")], "10.40.0.2")
SCHEMA = "usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json"
needs_apt = pytest.mark.skipif(not there(), reason="needs apt-get and dpkg-deb, to download and unpack cloud-init")


@pytest.fixture(scope="module")
def judge() -> CloudInit:
    return unpacked()


@needs_apt
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(USER_DATA, id="a gateway"),
        pytest.param(cloudinit.user_data(HOST, OPERATOR, root=True), id="a gateway with root"),
        pytest.param(ROUTES, id="routes"),
    ],
)
def test_what_machines_are_told_is_valid(judge: CloudInit, text: str) -> None:
    assert judge.faults(text) == ""


@needs_apt
@pytest.mark.parametrize(
    ("text", "right", "wrong", "fault"),
    [
        (USER_DATA, "  ed25519_private:", "  ed25519_privat:", "'ed25519_privat' does not match"),
        (USER_DATA, "ssh_deletekeys: true", "ssh_deletekeys: everything", "is not of type 'boolean'"),
        (USER_DATA, f"\n  - {OPERATOR}", f" {OPERATOR}", "is not of type 'array'"),
        (USER_DATA, "ssh_pwauth:", "ssh_pwaut:", "ssh_pwaut"),  # by the schema itself, or by our look into it
        (USER_DATA, "ssh_keys:", "ssh_keys: {", "ed25519_private: |"),
        (USER_DATA, "#cloud-config\n", "", "#cloud-config"),
        (ROUTES, "  - path:", "  - file:", "'path' is a required property"),
        (ROUTES, "runcmd:\n", "runcmd: reboot\nbootcmd:\n", "is not of type 'array'"),
    ],
    ids=["kind of key", "flag", "list", "name", "object", "first line", "property", "commands"],
)
def test_a_broken_one_is_refused(judge: CloudInit, text: str, right: str, wrong: str, fault: str) -> None:
    assert right in text
    assert fault in judge.faults(text.replace(right, wrong, 1))


Apt = Callable[[str], Path]


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apt:
    """Puts a fake apt-get first that logs what it is told, runs a script, and downloads a package like the real one."""
    package = tmp_path / "package"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "DEBIAN/control").write_text(
        "Package: cloud-init\nVersion: 1\nArchitecture: all\nMaintainer: nobody <a@b>\nDescription: none\n"
    )
    (package / SCHEMA).parent.mkdir(parents=True)
    (package / SCHEMA).write_text("{}")
    subprocess.run(["dpkg-deb", "-b", package, tmp_path / "made.deb"], check=True, capture_output=True)
    log = tmp_path / "apt.log"
    log.touch()

    def put(script: str) -> Path:
        download = f'case "$*" in *" download "*) cp {tmp_path}/made.deb cloud-init_1_all.deb ;; esac'
        fakes.program(tmp_path / "bin/apt-get", f'echo "$*" >>{log}\n{script}\n{download}')
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        return log

    return put


@needs_apt
def test_it_is_downloaded_and_unpacked_once(apt: Apt, tmp_path: Path) -> None:
    log = apt("")
    first = unpacked(tmp_path / "cache")
    assert unpacked(tmp_path / "cache") == first
    assert (first.root / SCHEMA).read_text() == "{}"
    (line,) = log.read_text().splitlines()
    assert line.endswith(" download cloud-init")


@needs_apt
def test_what_was_left_half_unpacked_is_made_again(apt: Apt, tmp_path: Path) -> None:
    apt("")
    place = unpacked(tmp_path / "cache").root
    shutil.rmtree(place / "usr")
    assert (unpacked(tmp_path / "cache").root / SCHEMA).exists()


@needs_apt
def test_where_the_machines_lists_of_packages_are_of_no_use_others_are_fetched_beside_them(
    apt: Apt, tmp_path: Path
) -> None:
    log = apt('case "$*" in *Dir::State::Lists=*) ;; *) exit 100 ;; esac')
    unpacked(tmp_path / "cache")
    _, update, download = log.read_text().splitlines()
    assert update.endswith("/lists update")
    assert download.endswith("/lists download cloud-init")
    assert not [line for line in (update, download) if "/var/" in line]


@needs_apt
def test_where_nothing_can_be_downloaded_apt_says_why_and_nothing_is_left(apt: Apt, tmp_path: Path) -> None:
    apt("echo 'E: Could not resolve the host' >&2; exit 100")
    with pytest.raises(UnavailableError, match="E: Could not resolve the host"):
        unpacked(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_apt_it_is_said_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="needs apt-get and dpkg-deb"):
        unpacked(tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []
