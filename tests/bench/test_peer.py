"""The comparison with wg-meshconf: the same mesh for both, and an environment of its own."""

import csv
import re
import subprocess
from pathlib import Path

import pytest

from bench import meshes, peer, work


def test_the_database_has_every_site_with_its_key(tmp_path: Path) -> None:
    peer.write(tmp_path, 3)
    with (tmp_path / peer.DATABASE).open() as file:
        rows = list(csv.DictReader(file))
    assert {row["Name"]: row["PrivateKey"] for row in rows} == meshes.private_keys(3)
    assert [row["Address"] for row in rows] == ["10.96.0.1/32", "10.96.0.2/32", "10.96.0.3/32"]
    assert {row["ListenPort"] for row in rows} == {"51820"}


def test_both_programs_describe_the_same_peers(tmp_path: Path) -> None:
    def peers(text: str, key: str) -> list[str]:
        return re.findall(rf"^{key} = (\S+)$", text, re.MULTILINE)

    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    meshes.write(ours, 3, "none")
    work.main("texts", ours)
    peer.write(theirs, 3)
    program = peer.installed() or peer.install()
    subprocess.run(peer.command(program), cwd=theirs, check=True, capture_output=True)
    for name in meshes.site_names(3):
        mine = (ours / meshes.TEXTS / name).read_text()
        other = (theirs / meshes.TEXTS / f"{name}.conf").read_text()
        for key in ("PrivateKey", "ListenPort", "Address", "MTU", "PublicKey", "Endpoint", "AllowedIPs"):
            assert peers(mine, key) == peers(other, key) != []
        assert len(peers(mine, "PresharedKey")) == 2
        assert peers(other, "PresharedKey") == []


def test_the_version_is_the_pinned_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", peer.version())
    assert f"wg-meshconf=={peer.version()}\n" in (peer.ROOT / "requirements-bench.in").read_text()


def test_an_environment_counts_as_installed_by_its_stamp_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "ENVIRONMENT", tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/wg-meshconf").touch()
    assert peer.installed() is None
    (tmp_path / "packages.stamp").write_text("an older one\n")
    assert peer.installed() is None
    (tmp_path / "packages.stamp").write_text(peer._wanted())
    assert peer.installed() == tmp_path / "bin/wg-meshconf"


def test_an_installation_that_fails_says_why_and_leaves_no_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "requirements-bench.txt"
    missing.write_text("wg-meshconf==2.5.1 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(peer, "REQUIREMENTS", missing)
    monkeypatch.setattr(peer, "ENVIRONMENT", tmp_path / "environment")
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # asks the network for nothing
    with pytest.raises(peer.PeerError, match="could not be installed:\n"):
        peer.install()
    assert peer.installed() is None
