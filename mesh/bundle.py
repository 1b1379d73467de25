"""The bundle: everything that one site is configured with, as the one text that its host reads and checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from mesh import firewall, wgconf
from mesh.model import SiteName
from mesh.plan import SitePlan

_FORMAT = "wireguard-mesh 1"


@dataclass(frozen=True, slots=True)
class Bundle:
    """`text` is what the host reads (it holds the private key); `generation` is the digest that it confirms."""

    text: str = field(repr=False)
    generation: str


def rules(plan: SitePlan) -> str:
    """The bundle's lines from `@forwarding` up to `@conf`: the interfaces that forward, and both families' rules."""
    return (
        f"{' '.join(('@forwarding', *plan.forwarding))}\n"
        f"@rules.v4\n{firewall.render(plan.firewall, 4)}"
        f"@rules.v6\n{firewall.render(plan.firewall, 6)}"
    )


def rules_id(text: str) -> str:
    """The name of a set of rules on the host: the first 16 hexadecimal digits of the SHA-256 of what `rules` gives."""
    return sha256(text.encode("ascii")).hexdigest()[:16]


def render(
    plan: SitePlan,
    machine: str,
    private_key: str,
    public_keys: Mapping[SiteName, str],
    preshared_keys: Mapping[SiteName, str],
    *,
    addresses: Mapping[SiteName, str],
) -> Bundle:
    """The bundle of one site. `machine` is the id of the machine it is for; the rest is as for `wgconf.render`.

    Its first line is `wireguard-mesh 1 LENGTH DIGEST`, of the bytes that follow. Lines that begin with `@` divide
    those into sections. Raises ValueError where any text is not ASCII, or has such a line of its own.
    """
    ruleset = rules(plan)
    conf = wgconf.render(plan, private_key, public_keys, preshared_keys, addresses=addresses, rules=rules_id(ruleset))
    # The mere character is looked for a hundred times as fast, and our texts have none.
    if ("@" in conf and "\n@" in conf) or "\n" in machine:
        raise ValueError(f"the texts for {plan.site} contain a line that would begin a section of its own")
    # Another number is another generation, with which everything is done again.
    again = f" {plan.site.reapply}" if plan.site.reapply else ""
    interface = f"{plan.interface} adopt" if plan.site.adopts else plan.interface
    payload = (
        f"@machine {machine}{again}\n@interface {interface}\n@rules {rules_id(ruleset)}\n{ruleset}@conf\n{conf}@end\n"
    )
    if not payload.isascii():
        raise ValueError(f"the texts for {plan.site} contain characters other than ASCII")
    digest = sha256(payload.encode("ascii")).hexdigest()
    return Bundle(text=f"{_FORMAT} {len(payload)} {digest}\n{payload}", generation=digest)
