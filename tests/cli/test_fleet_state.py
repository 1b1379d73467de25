"""The hosts of a stack as its state tells of them, and why there may be no state to be had."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cli import fleet
from cli.fleet import FleetError, HostRef, known, read_state
from mesh.model import Secret, Ssh

URN = "urn:pulumi:prod::wireguard-mesh::wireguard-mesh:index:WireguardMesh$wireguard-mesh:index:Endpoint$"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nnone of anybody's\n-----END OPENSSH PRIVATE KEY-----\n"
BUNDLE = "wireguard-mesh 1 9 abc\n@machine m\n@interface wg7\n@rules 0123456789abcdef\n@forwarding\n@conf\nx\n@end\n"


def sealed(value: object) -> dict[str, str]:
    """A secret as `pulumi stack export --show-secrets` shows it (pulumi's sdk/go/common/apitype/core.go, SecretV1)."""
    mark = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    return {**mark, "plaintext": json.dumps(value)}


def resource(name: str, connection: object, stdin: object, **more: Any) -> dict[str, Any]:
    kind = "command:remote:Command"
    inputs = {"connection": connection, "create": "...", "stdin": stdin}
    return {"urn": f"{URN}{kind}::{name}", "type": kind, "inputs": inputs, **more}


def exported(*resources: dict[str, Any]) -> str:
    return json.dumps({"version": 3, "deployment": {"resources": list(resources)}})


CONNECTION = {"host": "192.0.2.1", "hostKey": "ssh-ed25519 AAAA", "port": 22, "user": "root"}
NYC = [
    resource("nyc-config", {**CONNECTION, "privateKey": sealed(KEY)}, sealed(BUNDLE)),
    resource("nyc-confirm", {**CONNECTION, "privateKey": sealed(KEY)}, sealed("c" * 64)),
]


def test_the_state_says_how_a_host_is_reached_and_what_it_has_to_run() -> None:
    proxy = {**CONNECTION, "host": "192.0.2.9", "user": "jump", "port": 2222}
    there = sealed({**CONNECTION, "host": "192.0.2.2", "proxy": proxy})
    whole = exported(
        {"urn": "urn:pulumi:prod::wireguard-mesh::pulumi:pulumi:Stack::prod", "type": "pulumi:pulumi:Stack"},
        resource("use1-aws-config", there, sealed(BUNDLE), retainOnDelete=True),
        resource("use1-aws-confirm", there, sealed("d" * 64)),
        *NYC,
        resource("nyc-host", CONNECTION, "helper"),
    )
    nyc, use1 = read_state(whole).hosts
    secret = Secret(KEY)
    assert nyc == HostRef(
        "nyc",
        "wg7",
        Ssh("192.0.2.1", 22, "root", "ssh-ed25519 AAAA", secret),
        "c" * 64,
        paused=False,
        rules="0123456789abcdef",
    )
    assert (use1.site, use1.generation, use1.paused) == ("use1-aws", "d" * 64, True)
    assert use1.connection == Ssh(
        "192.0.2.2", 22, "root", "ssh-ed25519 AAAA", proxy=Ssh("192.0.2.9", 2222, "jump", "ssh-ed25519 AAAA")
    )
    assert "none of anybody's" not in repr((nyc, use1))


def test_a_host_that_was_paused_before_anything_was_done_there_has_no_generation_and_no_interface() -> None:
    never = [resource(f"nyc-{what}", CONNECTION, "", retainOnDelete=True) for what in ("config", "confirm")]
    for one in never:
        del one["inputs"]["stdin"], one["inputs"]["create"]
    (host,) = read_state(exported(*never)).hosts
    assert (host.paused, host.interface, host.generation) == (True, "", None)


def test_a_host_that_was_never_confirmed_and_one_that_is_being_replaced() -> None:
    (host,) = read_state(exported(NYC[0], {**NYC[1], "delete": True})).hosts
    assert host.generation is None


@pytest.mark.parametrize("nothing", [exported(), '{"deployment": {"manifest": {}}}'])
def test_a_stack_where_nothing_was_ever_done_lacks_no_site(nothing: str) -> None:
    fleet = read_state(nothing)
    assert (fleet.hosts, fleet.lacking(["nyc"])) == ((), {})


def test_a_site_that_the_last_up_did_not_come_to_is_known_by_what_else_there_is() -> None:
    """As an `up` leaves it whose `ams-host` failed, and that of a destroy that did not reach fra any more."""
    stack = {"urn": "urn:pulumi:prod::wireguard-mesh::pulumi:pulumi:Stack::prod", "type": "pulumi:pulumi:Stack"}
    kind = "wireguard-mesh:index:Endpoint"
    sites = [{"urn": f"{URN.removesuffix('$')}::{name}", "type": kind} for name in ("nyc", "ams", "fra")]
    fleet = read_state(exported(stack, *sites, *NYC, resource("fra-host", CONNECTION, "helper")))
    assert [host.site for host in fleet.hosts] == ["nyc"]
    assert list(fleet.lacking(["nyc", "new"])) == ["new", "ams", "fra"]
    assert fleet.lacking(["new"])["new"] == fleet.unfinished["ams"]
    assert "not set up yet: the last 'pulumi up' did not come that far" in fleet.unfinished["ams"]
    assert "or not taken away, to the end" in fleet.unfinished["fra"]


@pytest.mark.parametrize("text", ["", "[]", "{}", exported(resource("nyc-config", CONNECTION, "x", inputs={}))])
def test_a_state_that_cannot_be_read_is_an_error_without_a_trace(text: str) -> None:
    with pytest.raises(FleetError, match="not as this version writes it"):
        read_state(text)


def engine(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a program that calls itself pulumi first on PATH."""
    (folder / "pulumi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_the_engine_is_asked_in_the_projects_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").write_text(exported(*NYC))
    engine(tmp_path, 'echo "$PWD $*" >"$OUT" && cat state', monkeypatch)
    monkeypatch.setenv("OUT", str(tmp_path / "asked"))
    assert [host.site for host in known("prod", tmp_path).hosts] == ["nyc"]
    asked = (tmp_path / "asked").read_text().strip()
    assert asked == f"{tmp_path} stack export --show-secrets --non-interactive --stack prod"


# What pulumi 3.259.0 says, run without a backend, without a stack, and without its passphrase or with another.
@pytest.mark.parametrize(
    ("said", "way"),
    [
        ("error: no stack named 'prod' found", "pulumi stack init prod"),
        ("error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions", "pulumi login"),
        (
            "error: could not deserialize deployment: constructing secrets manager: passphrase must be set with"
            " PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables",
            "the one that the stack was made with",
        ),
        ("SDK WARN something else\nerror: read .pulumi/meta.yaml: no credentials", "no credentials"),
    ],
    ids=["no stack", "not logged in", "no passphrase", "no credentials"],
)
def test_why_the_engine_has_no_state_is_said_in_its_words_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, way: str
) -> None:
    (tmp_path / "said").write_text(f"{said}\n")
    engine(tmp_path, "cat said >&2; exit 1", monkeypatch)
    with pytest.raises(FleetError, match="cannot read the state of 'prod'") as caught:
        known("prod", tmp_path)
    assert said.rpartition("error: ")[2] in str(caught.value)
    assert way in str(caught.value)
    assert "SDK" not in str(caught.value)


def test_without_an_engine_and_with_one_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FleetError, match="is not on PATH; install it"):
        known("prod", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    engine(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(fleet, "_ENGINE_SECONDS", 0.3)
    with pytest.raises(FleetError, match="did not read the stack's state"):
        known("prod", tmp_path)
