"""The keys that the program makes: each made once, and kept as a secret in the state by pulumi.Stash."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from mesh import sshkeys
from mesh.keyring import KeyRing
from mesh.keys import generate_private_key, generate_root
from mesh.model import Mesh, Site

# The generation is part of a key's name: the one before is kept beside it, for a change that is taken back.
# What belongs to no site is one word and the number: a site's have its name and at least one more word before it.
_GENERATION = 1


def key_ring(mesh: Mesh, parent: pulumi.Resource) -> pulumi.Output[KeyRing]:
    """All keys of the mesh as one secret output: each site's private key, and the root of the preshared keys."""
    private = {site.name: _private_key(site, parent) for site in mesh.sites}
    root = _latest("preshared", mesh.preshared_generation, generate_root, parent)
    return pulumi.Output.all(private=pulumi.Output.all(**private), root=root).apply(_ring)


def operator_key(mesh: Mesh, parent: pulumi.Resource) -> pulumi.Output[str]:
    """The SSH key that opens machines in clouds: the operator's own, or one that is made for the stack."""
    if mesh.operator_key is not None:
        return pulumi.Output.secret(mesh.operator_key.reveal())
    return kept(f"operators-{_GENERATION}", sshkeys.generate, parent).secret


def host_key(site: str, parent: pulumi.Resource) -> "Kept":
    """The private SSH host key of a site's machine, which it shares with each that takes its place."""
    return kept(f"{site}-host-key-{_GENERATION}", sshkeys.generate, parent)


@dataclass(frozen=True, slots=True)
class Kept:
    """A secret in the state. `new`: this very operation makes it, so that a preview has only a throw-away to show."""

    secret: pulumi.Output[str]
    new: pulumi.Output[bool]


def kept(name: str, generate: Callable[[], str], parent: pulumi.Resource) -> Kept:
    """A secret that is made at the first `up` and kept from then on: later inputs are throw-aways, and ignored."""
    made = generate()
    output = pulumi.Stash(
        name,
        input=pulumi.Output.secret(made),
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["input"]),
    ).output
    return Kept(output, pulumi.Output.unsecret(output.apply(lambda known: known == made)))


def _private_key(site: Site, parent: pulumi.Resource) -> pulumi.Output[str]:
    if site.private_key is not None:
        return pulumi.Output.secret(site.private_key.reveal())
    return _latest(f"{site}-key", site.key_generation, lambda: generate_private_key().reveal(), parent)


def _latest(name: str, generation: int, generate: Callable[[], str], parent: pulumi.Resource) -> pulumi.Output[str]:
    numbers = range(max(1, generation - 1), generation + 1)
    return [kept(f"{name}-{number}", generate, parent).secret for number in numbers][-1]


def _ring(values: Mapping[str, Any]) -> KeyRing:
    return KeyRing.of(values["private"], values["root"])
