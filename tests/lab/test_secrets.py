"""No private, preshared or SSH key leaves stdin and encrypted state: every place is searched for every form of each."""

import base64
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mesh.keys import generate_private_key
from tests.lab.conftest import Start
from tests.lab.environment import Environment, clouds, pair

pytestmark = pytest.mark.lab


def forms(secret: str) -> set[str]:
    """A secret raw, by line, as `repr` and `json` write it, and in base64 (of it, and of it with a line's end)."""
    found = {secret, repr(secret).strip("'"), json.dumps(secret).strip('"')}
    # Every OpenSSH key begins with the same line: that it has no passphrase.
    lines = [line for line in secret.splitlines() if not line.startswith("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ")]
    found |= {line for line in lines if len(line) > 20 and "PRIVATE KEY" not in line}
    for text in (secret, secret.strip(), secret.strip() + "\n"):
        found.add(base64.b64encode(text.encode()).decode())
        found.add(base64.encodebytes(text.encode()).decode())
    return {form for form in found if form.strip()}


def leaks(text: str, secrets: dict[str, str]) -> list[str]:
    """The names of the secrets that are in a text in any form."""
    return [name for name, secret in secrets.items() if any(form in text for form in forms(secret))]


def secrets_of(environment: Environment, own: str) -> dict[str, str]:
    """All secrets of a mesh: what its hosts have, what the state says when it is decrypted, and what it was given."""
    found = {"own": own, "operator's key": environment.world.operator_key_path.read_text()}
    for site in environment.config["sites"]:
        conf = environment.on(site, "cat /etc/wireguard/wg0.conf")
        for line in conf.splitlines():
            name, _, value = line.partition(" = ")
            if name in ("PrivateKey", "PresharedKey"):
                found[f"{name} of {site}"] = value
    for resource in json.loads(decrypted_state(environment))["deployment"]["resources"]:
        if resource["type"] == "pulumi:index:Stash":
            found[resource["urn"].rsplit("::")[-1]] = json.loads(resource["outputs"]["output"]["plaintext"])
    return found


def decrypted_state(environment: Environment) -> str:
    deployment = environment.deployment
    command = [
        str(deployment.engine / "bin" / "pulumi"),
        "stack",
        "export",
        "--show-secrets",
        "--stack",
        deployment.stack,
    ]
    variables = [f"{name}={value}" for name, value in deployment.engine_environment().items()]
    return subprocess.run(
        environment.world.operator_command(["env", *variables, *command], deployment.project),
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@contextmanager
def watched_processes() -> Iterator[set[str]]:
    """What `ps` would show, over and over while the block runs: the arguments of every process of the machine."""
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for directory in Path("/proc").iterdir():
                if directory.name.isdigit():
                    try:
                        seen.add((directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                    except (FileNotFoundError, ProcessLookupError):
                        continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def test_no_key_is_anywhere_but_on_stdin_and_in_encrypted_state(start: Start, tmp_path: Path) -> None:
    own = generate_private_key().reveal()
    environment = start(pair(), secrets={"wireguard-mesh:sites.nyc.private_key": own})
    events = tmp_path / "events"
    with watched_processes() as seen:
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
    with watched_processes() as seen:
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


def files(environment: Environment) -> dict[str, str]:
    """The texts of the state and of the project's copy."""
    return {
        str(path.relative_to(environment.world.path)): path.read_text(errors="replace")
        for folder in (environment.deployment.state, environment.deployment.project)
        for path in folder.rglob("*")
        if path.is_file()
    }


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
