"""The ways to change hosts: the endpoints' own program, and what people do by hand with the same configuration."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, get_args

from bench.changes import KINDS, Kind, State
from lab.namespaces import Namespace
from lab.world import World
from mesh.bundle import Bundle
from mesh.commands import AT_CONFIRM, HELPER

_T = TypeVar("_T")

Way: TypeAlias = Literal["wireguard-mesh", "wg syncconf", "wg-quick down, up"]
WAYS: tuple[Way, ...] = get_args(Way)
# By hand a grant is no rule; what is compared is what becomes of WireGuard's own configuration.
KINDS_OF: Mapping[Way, tuple[Kind, ...]] = {
    way: KINDS if way == "wireguard-mesh" else tuple(kind for kind in KINDS if kind != "rules") for way in WAYS
}

_CONF = "/etc/wireguard/wg0.conf"
_HOST = Path(__file__).parents[1] / "host"


class Hosts:
    """A lab's gateways, changed in one way. Every change is made at all sites at once, as an `up` does."""

    def __init__(self, world: World, way: Way) -> None:
        self._world, self._way = world, way

    def prepare(self) -> None:
        """Has blank hosts forward packets, where our program does not see to that."""
        for host in self._all():
            host.run(["sysctl", "-q", "-w", f"net.ipv4.ip_forward={int(self._way != 'wireguard-mesh')}"])

    def change(self, before: State | None, after: State) -> None:
        """Brings the hosts from one state to another; None is blank hosts. Raises LabError where one refuses."""
        had, wanted = before.bundles() if before else {}, after.bundles()
        gone = [name for name in had if name not in wanted]
        if self._way == "wireguard-mesh":
            changed = {name: bundle for name, bundle in wanted.items() if had.get(name) != bundle}
            for name in changed.keys() - had.keys():
                self._host(name).write(HELPER, helper(), mode=0o755)
            said = _at_once(changed, lambda name: self._helper(name, "apply", changed[name].text))
            # As in an `up`, a site whose keys change confirms when all others have.
            for waits in (False, True):
                turn = [name for name in changed if (AT_CONFIRM in said[name]) == waits]
                _at_once(turn, lambda name: self._helper(name, "confirm", f"{changed[name].generation}\n"))
            _at_once(gone, lambda name: self._helper(name, "remove"))
        else:
            texts = {name: plain(bundle) for name, bundle in wanted.items()}
            changed_texts = {name: text for name, text in texts.items() if name not in had or plain(had[name]) != text}
            _at_once(changed_texts, lambda name: self._by_hand(name, changed_texts[name], new=name not in had))
            _at_once(gone, lambda name: self._by_hand(name, None, new=False))

    def take_down(self, state: State) -> None:
        """Leaves blank hosts behind."""
        for name in state.bundles():
            if self._way == "wireguard-mesh":
                self._helper(name, "remove")
            else:
                self._by_hand(name, None, new=False)
        for host in self._all():
            host.run(["rm", "-f", _CONF])

    def _helper(self, name: str, verb: str, stdin: str = "") -> str:
        return self._host(name).run([HELPER, verb, "wg0"], input=stdin).stdout

    def _by_hand(self, name: str, text: str | None, *, new: bool) -> None:
        """Puts that configuration in place of the one that is there; None takes the interface away."""
        if text is None:
            self._host(name).run(["wg-quick", "down", "wg0"])
            return
        if new:
            put_in_place = "wg-quick up wg0"
        elif self._way == "wg syncconf":
            put_in_place = "wg syncconf wg0 <(wg-quick strip wg0)"  # wg(8)
        else:
            put_in_place = "wg-quick down wg0; wg-quick up wg0"
        script = f"umask 077; cat >{shlex.quote(_CONF)}; {put_in_place}"
        self._host(name).run(["bash", "-euc", script], input=text)

    def _host(self, name: str) -> Namespace:
        return self._world.host(name)

    def _all(self) -> Iterable[Namespace]:
        return [self._world.host(site.name) for site in self._world.mesh.sites]


def helper() -> str:
    """The endpoints' program, of its parts in the order of their names."""
    return "".join(part.read_text() for part in sorted(_HOST.glob("*.sh")))


def backend(host: Namespace) -> str:
    """What a gateway's WireGuard interface is made by, while it is there."""
    return "wireguard-go" if host.path("/run/wireguard/wg0.sock").exists() else "the kernel's"


def plain(bundle: Bundle) -> str:
    """A bundle's configuration without what calls our program: the file that a person would write."""
    conf = bundle.text.partition("\n@conf\n")[2].removesuffix("@end\n")
    return "".join(line for line in conf.splitlines(keepends=True) if HELPER not in line)


def _at_once(names: Iterable[str], act: Callable[[str], _T]) -> dict[str, _T]:
    listed = list(names)
    with ThreadPoolExecutor(max_workers=3) as pool:
        return dict(zip(listed, pool.map(act, listed), strict=True))
