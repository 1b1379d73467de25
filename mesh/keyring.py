"""All keys of a mesh together, and what each site gets of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mesh import bundle
from mesh.keys import PrivateKey, PublicKey, preshared_keys
from mesh.model import SiteName
from mesh.plan import SitePlan


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Every site's key pair, and the preshared key of every two sites. Its `repr` shows nothing of them."""

    private: Mapping[SiteName, PrivateKey] = field(repr=False)
    public: Mapping[SiteName, PublicKey] = field(repr=False)
    preshared: Mapping[SiteName, Mapping[SiteName, str]] = field(repr=False)

    @classmethod
    def of(cls, private: Mapping[str, str], root: str) -> "KeyRing":
        """From the sites' private keys and the preshared keys' root in base64, as the state keeps them.

        Raises ValueError, naming the site and not the key, for a bad one.
        """
        keys = {}
        for site, text in private.items():
            try:
                keys[SiteName(site)] = PrivateKey.from_base64(text)
            except ValueError as error:
                raise ValueError(f"the private key of {site}: {error}") from None
        public = {site: key.public_key() for site, key in keys.items()}
        return cls(keys, public, preshared_keys(root, public))

    def bundle(self, plan: SitePlan, machine: str, addresses: Mapping[SiteName, str]) -> bundle.Bundle:
        """The bundle of one site, for the machine of that id: its own private key, and nobody else's.

        `addresses` are those of the endpoints that clouds give, by site.
        """
        site = plan.site.name
        return bundle.render(
            plan, machine, self.private[site].reveal(), self.public, self.preshared[site], addresses=addresses
        )
