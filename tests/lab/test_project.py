"""The stack file that a lab runs: the lab's host keys, no secret of the original, everything else as it was."""

from pathlib import Path

import pytest
import yaml

from lab.project import PROGRAM, copy_project, for_lab

STACK = {
    "encryptionsalt": "v1:salt",
    "secretsprovider": "awskms://alias/prod",
    "config": {
        "wireguard-mesh:ssh": {"private_key": {"secure": "v1:ssh"}, "user": "admin"},
        "wireguard-mesh:sites": {
            "nyc": {
                "private_key": {"secure": "v1:wireguard"},
                "colo": {
                    "host": "203.0.113.10",
                    "host_key": "ssh-ed25519 REAL",
                    "proxy": {"host": "192.0.2.1", "host_key": "ssh-ed25519 REAL-TOO"},
                },
            }
        },
        "wireguard-mesh:access": [{"from": "a", "to": "b"}],
    },
}
LAB = {"203.0.113.10": "ssh-ed25519 LAB", "192.0.2.1": "ssh-ed25519 LAB-BASTION"}


def test_host_keys_become_the_labs_and_secrets_go() -> None:
    config = for_lab(STACK, LAB)["config"]
    assert config["wireguard-mesh:sites"] == {
        "nyc": {
            "colo": {
                "host": "203.0.113.10",
                "host_key": "ssh-ed25519 LAB",
                "proxy": {"host": "192.0.2.1", "host_key": "ssh-ed25519 LAB-BASTION"},
            }
        }
    }
    assert config["wireguard-mesh:ssh"] == {"user": "admin"}
    assert config["wireguard-mesh:access"] == [{"from": "a", "to": "b"}]


def test_of_a_site_in_a_cloud_only_secrets_go() -> None:
    kept = {"region": "fra1", "vpc_cidr": "10.40.0.0/24"}
    site = {"digitalocean": {**kept, "token": {"secure": "v1:token"}}, "networks": {"vpc": {"cidr": "10.40.0.0/24"}}}
    config = for_lab({"config": {"wireguard-mesh:sites": {"fra": site}}}, {})["config"]
    assert config["wireguard-mesh:sites"]["fra"] == {"digitalocean": kept, "networks": site["networks"]}


def test_nothing_is_left_of_how_the_original_is_encrypted() -> None:
    text = yaml.safe_dump(for_lab(STACK, LAB))
    assert not [word for word in ("salt", "awskms", "secure", "v1:", "REAL") if word in text]


def test_a_host_that_the_lab_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError):
        for_lab(STACK, {"203.0.113.10": "ssh-ed25519 LAB"})


def test_a_second_copy_keeps_the_salt_of_the_labs_own_state(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for name in PROGRAM:
        (source / name).write_text("first")
    (source / "Pulumi.prod.yaml").write_text(yaml.safe_dump(STACK))
    copy_project(source, target, "prod", LAB)
    copied = yaml.safe_load((target / "Pulumi.prod.yaml").read_text())
    assert "encryptionsalt" not in copied
    (target / "Pulumi.prod.yaml").write_text(yaml.safe_dump({**copied, "encryptionsalt": "v1:the lab's"}))
    (source / "__main__.py").write_text("second")
    copy_project(source, target, "prod", LAB)
    assert yaml.safe_load((target / "Pulumi.prod.yaml").read_text())["encryptionsalt"] == "v1:the lab's"
    assert (target / "__main__.py").read_text() == "second"
    assert "v1:salt" in (source / "Pulumi.prod.yaml").read_text()
