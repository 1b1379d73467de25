"""The changes during which packets are counted: what three sites are configured with before and after each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from bench.meshes import private_key, root_key, stack
from mesh.bundle import Bundle
from mesh.config import parse
from mesh.keyring import KeyRing
from mesh.plan import plan

Kind: TypeAlias = Literal["nothing", "added", "changed", "rules", "third key", "key", "preshared keys", "removed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# The pings go from a host behind the one to a host behind the other; what changes is the third.
FROM, TO, THIRD = "site-0001", "site-0002", "site-0003"
_SERVICES = ("icmp", "tcp/443")


@dataclass(frozen=True, slots=True)
class State:
    """What the sites are to be: the third's prefix and port, None where it is not there, and the grant's services.

    Keys have generations: that of the third site, that of the one from which the pings come, and the preshared ones.
    """

    third: tuple[str, int] | None = None
    services: tuple[str, ...] = _SERVICES
    third_key: int = 1
    key: int = 1
    preshared: int = 1

    def without_third(self) -> "State":
        """The same keys, and everything else as at the beginning."""
        return replace(self, third=None, services=_SERVICES)

    def sections(self) -> dict[str, object]:
        """The stack config: the first site's LAN may open the services to the second's, and one to the third's."""
        made = stack(3, "none")
        sites: dict[str, dict[str, Any]] = made["sites"]  # type: ignore[assignment]
        for site in sites.values():
            # Not masqueraded: the packets are the same for who has no rules of ours.
            lan = site["networks"]["lan"]
            site["networks"] = {"lan": {"cidr": lan["cidr"], "interface": lan["interface"], "return_route": "manual"}}
        access = [{"from": f"{FROM}.lan", "to": f"{TO}.lan", "ports": list(self.services)}]
        if self.third is None:
            del sites[THIRD]
        else:
            sites[THIRD]["networks"]["lan"]["cidr"], sites[THIRD]["listen_port"] = self.third
            access.append({"from": f"{FROM}.lan", "to": f"{THIRD}.lan", "ports": ["tcp/443"]})
        return made | {"access": access}

    def bundles(self) -> dict[str, Bundle]:
        """What each site's host gets, by site."""
        mesh = parse(self.sections())
        generations = {FROM: self.key, THIRD: self.third_key}
        keys = {str(site): private_key(f"{site} {generations.get(site.name, 1)}") for site in mesh.sites}
        ring = KeyRing.of(keys, root_key(self.preshared))
        # A host does not look at whose machine a bundle is.
        return {str(site): ring.bundle(site_plan, "measured", {}) for site, site_plan in plan(mesh).items()}


def changed(state: State, kind: Kind) -> State:
    """The state after a change of that kind; all of KINDS, in their order, lead back to the beginning, keys aside."""
    after: Mapping[Kind, State] = {
        "nothing": state,
        "added": replace(state, third=("10.128.3.0/24", 51820)),
        "changed": replace(state, third=("10.128.3.0/25", 51830)),
        "rules": replace(state, services=(*_SERVICES, "tcp/8000-8100")),
        "third key": replace(state, third_key=state.third_key + 1),
        "key": replace(state, key=state.key + 1),
        "preshared keys": replace(state, preshared=state.preshared + 1),
        "removed": state.without_third(),
    }
    return after[kind]
