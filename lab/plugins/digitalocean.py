"""The stand-in for pulumi-digitalocean: the seven resources that a site is made of, on the lab's own account.

What each asks of the API and how it names a failure is digitalocean/terraform-provider-digitalocean's, v2.99.1, below
digitalocean/: vpc, tag, sshkey, firewall, droplet, reservedip. Unlike there, nothing is waited for and nothing is asked
again: the lab's account is done at once, and a VPC that still has members is refused without two minutes of patience.
"""

import asyncio

from lab.plugins.base import Provider
from lab.plugins.digitalocean_droplets import Droplet, SshKey, Tag
from lab.plugins.digitalocean_firewalls import Firewall
from lab.plugins.digitalocean_networks import ReservedIp, ReservedIpAssignment, Vpc
from lab.plugins.serving import serve
from lab.plugins.versions import DIGITALOCEAN


def provider() -> Provider:
    """The plugin."""
    kinds = (Vpc(), Tag(), SshKey(), Firewall(), Droplet(), ReservedIp(), ReservedIpAssignment())
    return Provider(DIGITALOCEAN, {f"index:{type(kind).__name__}": kind for kind in kinds})


def main() -> None:
    """Serves the engine."""
    asyncio.run(serve(provider))
