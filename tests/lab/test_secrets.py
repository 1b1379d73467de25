"""No private, preshared or SSH key leaves stdin and encrypted state: every place is searched for every form of each."""

import base64
import os
from pathlib import Path

import pytest

from mesh.keys import generate_private_key
from tests.lab.conftest import Start
from tests.lab.environment import clouds, pair
from tests.lab.leaks import decrypted_state, files, leaks, secrets_of, watched_processes

pytestmark = pytest.mark.lab


def test_no_key_is_anywhere_but_on_stdin_and_in_encrypted_state(start: Start, tmp_path: Path) -> None:
    own = generate_private_key().reveal()
    environment = start(pair(), secrets={"wireguard-mesh:sites.nyc.private_key": own})
    events = tmp_path / "events"
    with watched_processes(every=0.02) as seen:
        outcome = environment.up(event_log=events)
        # A failure prints the command and both its streams: here an interface that the host does not have.
        environment.config["sites"]["ams"]["networks"]["lan"]["interface"] = "nothere"
        environment.write()
        failed = environment.deployment.run("up", event_log=events)
    assert failed.failure is not None
    assert "nothere" in failed.failure

    secrets = secrets_of(environment, own)
    assert len(secrets) == 2 + 4 + 2
    assert secrets["PrivateKey of nyc"] == own
    places = {
        "events": events.read_text(),
        "output": outcome.stdout + outcome.stderr + "".join(outcome.warnings),
        "failure": failed.failure + failed.stdout + failed.stderr,
        "processes": "\n".join(seen),
        **files(environment),
    }
    assert any("wireguard-mesh apply wg0" in arguments for arguments in seen)
    assert any(name.endswith("test.json") for name in places)
    assert {name: found for name, text in places.items() if (found := leaks(text, secrets))} == {}


def test_no_key_of_a_machine_in_a_cloud_is_anywhere_else_either(start: Start, tmp_path: Path, agent: Path) -> None:
    """Its host key and the operator's key, which are made here, its user data, which holds one, and the token."""
    whole, token = clouds(), "dop_v1_" + os.urandom(32).hex()
    sites = {name: whole["sites"][name] for name in ("fra", "use1")}
    config = {name: whole[name] for name in ("mesh", "ssh", "operators")}
    environment = start(
        {**config, "sites": sites, "access": [{"from": "use1.vpc", "to": "fra.vpc"}]},
        agent=agent,
        secrets={"wireguard-mesh:sites.fra.digitalocean.token": token},
    )
    events = tmp_path / "events"
    with watched_processes(every=0.1) as seen:
        outcome = environment.up(event_log=events)
        previewed = environment.deployment.run("preview", event_log=events)
    assert environment.probe().as_granted

    secrets = secrets_of(environment, token)
    made = {"operators-1", "use1-host-key-1", "fra-host-key-1", "use1-key-1", "fra-key-1"}
    assert made <= set(secrets)
    assert made | {"own"} <= set(leaks(decrypted_state(environment), secrets))
    places = {
        "events": events.read_text(),
        "output": outcome.stdout + outcome.stderr + "".join(outcome.warnings),
        "preview": previewed.stdout + previewed.stderr,
        "processes": "\n".join(seen),
        **files(environment),
    }
    assert {name: found for name, text in places.items() if (found := leaks(text, secrets))} == {}


def test_the_search_finds_each_form_of_a_key(start: Start) -> None:
    """The test above can fail: the decrypted state holds every key, and a key in any form is found."""
    own = generate_private_key().reveal()
    environment = start(pair(), secrets={"wireguard-mesh:sites.nyc.private_key": own})
    environment.up()
    secrets = secrets_of(environment, own)
    assert sorted(leaks(decrypted_state(environment), secrets)) == sorted(secrets)
    key = secrets["operator's key"]
    for form in (key, repr(key), base64.b64encode(key.encode()).decode(), key.splitlines()[2]):
        assert leaks(f"noise {form} noise", secrets) == ["operator's key"]
