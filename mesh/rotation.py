"""Whether keys may change now: not while a paused site's host, which is not told of new ones, has the old."""

import re
from collections.abc import Container, Iterator, Mapping

from mesh.faults import Fault
from mesh.keyring import KeyRing
from mesh.model import SiteName

_OWN = re.compile(r"^PrivateKey = (\S+)$", re.MULTILINE)
_PEER = re.compile(r"^# (\S+)\n\[Peer\]\nPublicKey = (\S+)\nPresharedKey = (\S+)$", re.MULTILINE)


def held_up(ring: KeyRing, paused: Mapping[SiteName, str], given: Container[SiteName] = ()) -> Iterator[Fault]:
    """Yields a fault for each key that would change, with its place; no fault has a key in it.

    `paused` is the bundle that each paused site's host was given last, "" where there was none; `given` are the sites
    whose key is in the config. A site that the host does not know yet is no change of a key, and neither is one that is
    gone.
    """
    for name, text in paused.items():
        why = (
            f"while {name} is paused, whose host would not learn of it; set it back, or take 'paused' out of"
            f" sites.{name} once that host is there again, or take sites.{name} out of the config if it never will be"
        )
        own = _OWN.search(text)
        known = [peer for peer in _PEER.findall(text) if peer[0] in ring.public]
        renewed = [name] if own and own[1] != ring.private[name].reveal() else []
        renewed += [SiteName(site) for site, public, _ in known if public != ring.public[SiteName(site)]]
        for site in renewed:
            key = "private_key" if site in given else "key_generation"
            yield Fault(f"sites.{site}.{key}", f"the key of {site} cannot change {why}")
        if any(preshared != ring.preshared[name][SiteName(site)] for site, _, preshared in known):
            yield Fault("mesh.preshared_generation", f"the preshared keys cannot change {why}")
