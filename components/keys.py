"""The mesh's keys: made once, and kept as secrets in the state by pulumi.Stash."""

from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from mesh.keyring import KeyRing
from mesh.keys import generate_private_key, generate_root
from mesh.model import Mesh, Secret

# The generation is part of a key's name, so that two generations can exist side by side while a site changes its key.
GENERATION = 1


def key_ring(mesh: Mesh, parent: pulumi.Resource) -> pulumi.Output[KeyRing]:
    """All keys of the mesh as one secret output: each site's private key, and the root of the preshared keys."""
    private = {site.name: _private_key(site.name, site.private_key, parent) for site in mesh.sites}
    root = _stash(f"preshared-{GENERATION}", generate_root, parent)
    return pulumi.Output.all(private=pulumi.Output.all(**private), root=root).apply(_ring)


def _private_key(site: str, own: Secret | None, parent: pulumi.Resource) -> pulumi.Output[str]:
    if own is not None:
        return pulumi.Output.secret(own.reveal())
    return _stash(f"{site}-key-{GENERATION}", lambda: generate_private_key().reveal(), parent)


def _stash(name: str, generate: Callable[[], str], parent: pulumi.Resource) -> pulumi.Output[str]:
    """A secret that is made at the first `up` and kept from then on: later inputs are throw-aways, and ignored."""
    return pulumi.Stash(
        name,
        input=pulumi.Output.secret(generate()),
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["input"]),
    ).output


def _ring(values: Mapping[str, Any]) -> KeyRing:
    return KeyRing.of(values["private"], values["root"])
