"""The changes during which packets are counted: what three sites are configured with before and after each."""

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from bench.meshes import private_keys, root_key, stack
from mesh.bundle import Bundle
from mesh.config import parse
from mesh.keyring import KeyRing
from mesh.plan import plan

Kind: TypeAlias = Literal["nothing", "added", "changed", "rules", "removed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# The pings go from a host behind the one to a host behind the other; what changes is the third.
FROM, TO, THIRD = "site-0001", "site-0002", "site-0003"
_SERVICES = ("icmp", "tcp/443")


@dataclass(frozen=True, slots=True)
class State:
    """What the sites are to be: the third's prefix and port, None where it is not there, and the grant's services."""

    third: tuple[str, int] | None = None
    services: tuple[str, ...] = _SERVICES

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
        names = [str(site.name) for site in mesh.sites]
        ring = KeyRing.of({name: key for name, key in private_keys(3).items() if name in names}, root_key())
        # A host does not look at whose machine a bundle is.
        return {str(site): ring.bundle(site_plan, "measured", {}) for site, site_plan in plan(mesh).items()}


def changed(state: State, kind: Kind) -> State:
    """The state after a change of that kind; all of KINDS, in their order, lead back to where they began."""
    match kind:
        case "nothing":
            return state
        case "added":
            return replace(state, third=("10.128.3.0/24", 51820))
        case "changed":
            return replace(state, third=("10.128.3.0/25", 51830))
        case "rules":
            return replace(state, services=(*_SERVICES, "tcp/8000-8100"))
        case "removed":
            return State()
