"""Three sites for the helper's tests, the bundles that configure them, and gateways that stand ready to take those."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from mesh import bundle, keys
from mesh.bundle import Bundle
from mesh.keys import PrivateKey
from mesh.model import Mesh, Site, SiteName
from mesh.plan import plan
from tests.host.scratch import Host, connect
from tests.mesh.meshes import mesh, network, site

MACHINE = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
WAN = {"nyc": "203.0.113.1", "ams": "203.0.113.2", "sfo": "203.0.113.3"}

NYC = site(
    "nyc",
    ["10.99.0.1", "fd99::1"],
    network("virbr0", "192.168.122.0/24", "fd22::/64", masquerade=True),
    endpoint=WAN["nyc"],
)
AMS = site(
    "ams", ["10.99.0.2", "fd99::2"], network("lan", "10.20.0.0/24", "fd20::/64", interface="br0"), endpoint=WAN["ams"]
)
SFO = site("sfo", ["10.99.0.3", "fd99::3"], network("lan", "10.30.0.0/24", interface="br0"), endpoint=WAN["sfo"])


def between(*sites: Site, access: tuple[tuple[str, str, str], ...] = (("ams.lan", "nyc.virbr0", ""),)) -> Mesh:
    """A mesh of these sites in which ams may reach nyc's LAN, unless told otherwise."""
    return mesh(*sites, access=access, tunnel=["10.99.0.0/24", "fd99::/64"])


# Every key that a test has put into a bundle and nobody but the host may see.
SECRETS: set[str] = set()


@dataclass
class Keys:
    """The keys of a mesh, made when they are first asked for. `root` None has a new one made."""

    root: str = field(default_factory=keys.generate_root, repr=False)
    private: dict[SiteName, PrivateKey] = field(default_factory=dict)

    def of(self, name: str) -> PrivateKey:
        """The site's private key."""
        return self.private.setdefault(SiteName(name), keys.generate_private_key())

    def bundle(self, mesh: Mesh, name: str) -> Bundle:
        """What the site of that name is configured with."""
        public = {each.name: self.of(each.name).public_key() for each in mesh.sites}
        site_plan = plan(mesh)[SiteName(name)]
        private, preshared = self.of(name).reveal(), self._preshared(name, public)
        SECRETS.update((private, *preshared.values()))
        return bundle.render(site_plan, MACHINE, private, public, preshared, addresses={})

    def edited(self, mesh: Mesh, name: str, old: str, new: str) -> Bundle:
        """The same with `old` replaced by `new` throughout, and its digests made good again."""
        text = self.bundle(mesh, name).text
        assert old in text
        return sealed(text.replace(old, new))

    def _preshared(self, name: str, sites: Iterable[SiteName]) -> dict[SiteName, str]:
        return {peer: keys.preshared_key(self.root, name, peer) for peer in sites if peer != name}


def sealed(text: str) -> Bundle:
    """A bundle of the text's payload, its rules id and first line worked out anew."""
    payload = text.split("\n", 1)[1]
    old_id = payload.split("@rules ", 1)[1][:16]
    rules = "@forwarding" + payload.split("@forwarding", 1)[1].split("@conf\n", 1)[0]
    payload = payload.replace(old_id, bundle.rules_id(rules))
    digest = sha256(payload.encode()).hexdigest()
    return Bundle(f"wireguard-mesh 1 {len(payload)} {digest}\n{payload}", digest)


def ready(host: Host, name: str) -> Host:
    """The host with the helper in place and the interface of each of the site's networks, as a user would have them."""
    host.install()
    for each in {"nyc": NYC, "ams": AMS, "sfo": SFO}[name].networks:
        host.run("ip", "link", "add", each.interface, "type", "bridge")
        for cidr in each.cidrs:
            host.run("ip", "address", "add", f"{cidr[1]}/{cidr.prefixlen}", "dev", each.interface)
        host.run("ip", "link", "set", each.interface, "up")
    return host


def on_the_internet(folder: Path, names: Iterable[str]) -> Iterator[dict[str, Host]]:
    """Gateways of those names, each at its public address, on one bridge. They end with the iteration."""
    with ExitStack() as stack:
        internet = stack.enter_context(Host(folder / "internet"))
        internet.sh("ip link add wan type bridge; ip link set wan up")
        gateways = {}
        for name in names:
            gateways[name] = ready(stack.enter_context(Host(folder / name)), name)
            connect(gateways[name], internet, "eth0", name)
            internet.run("ip", "link", "set", name, "master", "wan")
            gateways[name].run("ip", "address", "add", f"{WAN[name]}/24", "dev", "eth0")
        yield gateways


def settle(host: Host, bundle: Bundle) -> tuple[str, str]:
    """Applies and confirms; the two answers."""
    return host.answer("apply", stdin=bundle.text), host.answer("confirm", stdin=bundle.generation + "\n")
