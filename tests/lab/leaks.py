"""Where a secret could have got to, and every form that it could have there."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.environment import Environment


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
    return environment.pulumi("stack", "export", "--show-secrets")


@contextmanager
def watched_processes(every: float) -> Iterator[set[str]]:
    """What `ps` would show while the block runs: the arguments of every process of the machine.

    It is looked at `every` so many seconds: over and over, at 0, takes a processor of its own.
    """
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(every):
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


def files(environment: Environment) -> dict[str, str]:
    """The texts of the state and of the project's copy."""
    return {
        str(path.relative_to(environment.world.path)): path.read_text(errors="replace")
        for folder in (environment.deployment.state, environment.deployment.project)
        for path in folder.rglob("*")
        if path.is_file()
    }
