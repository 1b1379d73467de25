"""A site's plan and keys as the text of its wg-quick file (wg-quick(8), wg(8))."""

from collections.abc import Mapping

from mesh.commands import HELPER
from mesh.model import SiteName
from mesh.plan import PeerPlan, SitePlan

_MOST_KNOWN = 4096
_known: dict[int, tuple[PeerPlan, str]] = {}


def render(
    plan: SitePlan,
    private_key: str,
    public_keys: Mapping[SiteName, str],
    preshared_keys: Mapping[SiteName, str],
    *,
    addresses: Mapping[SiteName, str],
    rules: str,
) -> str:
    """The file that `wg-quick up` takes. The mappings of keys have an entry for every peer; `rules` is a `rules_id`.

    `addresses` has one for every peer whose endpoint's address is not in the plan, because a cloud gives it.

    The rules are loaded before the interface exists: where that fails there is no interface, and no open gateway.
    Raises KeyError where a peer's key or such an address is missing.
    """
    site = plan.site.name
    lines = [
        f"# Written by wireguard-mesh for site {site}. Change the stack config instead; a change here is drift.",
        "[Interface]",
        f"PrivateKey = {private_key}",
        f"ListenPort = {plan.listen_port}",
        *(f"Address = {address}" for address in plan.addresses),
        f"MTU = {plan.mtu}",
        *([f"DNS = {', '.join(str(address) for address in plan.dns)}"] if plan.dns else ()),
        f"PreUp = {HELPER} load %i {rules}",
        f"PostUp = {HELPER} forward %i {rules}",
        *_route_mtus(plan),
        f"PostDown = {HELPER} unload %i",
        "",
    ]
    blocks = (_peer(peer, public_keys[peer.site], preshared_keys[peer.site], addresses) for peer in plan.peers)
    return "\n".join(lines) + "".join(blocks)


def render_without_keys(plan: SitePlan, rules: str) -> str:
    """The same file with words in place of keys and of addresses that clouds give, to be shown to people.

    It tells no secret, and nothing in it has to be known before an `up`.
    """
    return render(
        plan,
        "(private key)",
        {peer.site: f"(public key of {peer.site})" for peer in plan.peers},
        {peer.site: f"(preshared key with {peer.site})" for peer in plan.peers},
        addresses={peer.site: f"(address of {peer.site})" for peer in plan.peers},
        rules=rules,
    )


def _route_mtus(plan: SitePlan) -> list[str]:
    """For links that carry less than this site's interface does: the MTU of their routes, which wg-quick cannot say."""
    return [
        f"PostUp = ip -{prefix.version} route replace {prefix} dev %i mtu {peer.mtu}"
        for peer in plan.peers
        if peer.mtu < plan.mtu
        for prefix in peer.allowed_ips
    ]


def _peer(peer: PeerPlan, public_key: str, preshared_key: str, addresses: Mapping[SiteName, str]) -> str:
    rest = _without_keys(peer) if peer.endpoint.host else _rendered(peer, addresses[peer.site])
    return f"\n# {peer.site}\n[Peer]\nPublicKey = {public_key}\nPresharedKey = {preshared_key}\n{rest}"


def _without_keys(peer: PeerPlan) -> str:
    # Most sites share one object for a peer, and a thousand sites see a million of them: to hash it takes longer than
    # all the rest. It is kept along with its text, so that no other object gets its id meanwhile.
    known = _known.get(id(peer))
    if known is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        known = _known[id(peer)] = (peer, _rendered(peer, ""))
    return known[1]


def _rendered(peer: PeerPlan, address: str) -> str:
    keepalive = f"PersistentKeepalive = {peer.persistent_keepalive}\n" if peer.persistent_keepalive else ""
    return f"Endpoint = {peer.endpoint.at(address)}\n{keepalive}AllowedIPs = {', '.join(map(str, peer.allowed_ips))}\n"
