"""The clouds of a lab: the accounts, what is kept of them between runs, and the fabric that follows every call."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lab.clouds import snippets
from lab.clouds.api import VARIABLE, Server
from lab.clouds.aws import AwsAccount
from lab.clouds.digitalocean import DigitalOceanAccount
from lab.clouds.fabric import Fabric
from lab.clouds.model import Cloud, Vpc
from lab.clouds.pool import Pool
from lab.clouds.seeds import seed_aws, seed_digital_ocean
from lab.clouds.wiring import Surroundings
from lab.namespaces import LabError, Namespace
from mesh.model import DigitalOcean, IPAddress, SiteName

Account: TypeAlias = AwsAccount | DigitalOceanAccount

_ACCOUNTS: Mapping[Cloud, type[Account]] = {
    "aws": AwsAccount,
    "digitalocean": DigitalOceanAccount,
}


@dataclass(slots=True)
class _Books:
    """An account and its state, which the account changes."""

    account: Account
    state: dict[str, Any]


class Clouds:
    """Both clouds. Between `serving` nobody can change anything; machines and networks stay up."""

    def __init__(self, around: Surroundings, pools: Mapping[str, Pool]) -> None:
        """Opens the accounts of this lab, or makes them, with what the sites' config says is there already."""
        self.told: list[str] = []
        self._around = around
        self._path = around.directory / "clouds.json"
        self._pools = pools
        self._books = {cloud: self._open(cloud, text) for cloud, text in self._kept().items()}
        if not self._path.exists():
            self._seed(around)
            self._save()
        self._fabric = Fabric(around, self.told.append)
        try:
            self._fabric.resume(self._networks())
        except BaseException:
            self._fabric.close()
            raise

    def close(self) -> None:
        """From here on nothing changes: every call that would change anything is refused, and no machine boots."""
        self._fabric.close()

    def _kept(self) -> dict[Cloud, str]:
        if not self._path.exists():
            return dict.fromkeys(_ACCOUNTS, "{}")
        kept = json.loads(self._path.read_text())
        return {cloud: json.dumps(kept[cloud]) for cloud in _ACCOUNTS}

    def _open(self, cloud: Cloud, text: str) -> _Books:
        state = json.loads(text)
        return _Books(_ACCOUNTS[cloud](state, self._pools[cloud]), state)

    def _seed(self, around: Surroundings) -> None:
        hosts = [host for host, _ in around.hosts]
        for books in self._books.values():
            if isinstance(books.account, AwsAccount):
                seed_aws(books.account, around.sites, hosts)
            else:
                seed_digital_ocean(books.account, around.sites, hosts)

    def _save(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps({cloud: books.state for cloud, books in self._books.items()}))
        fresh.rename(self._path)

    def _networks(self) -> tuple[Vpc, ...]:
        return tuple(vpc for books in self._books.values() for vpc in books.account.networks())

    def call(self, cloud: Cloud, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Does what a plugin asks of an account, and makes the network follow. For one thread at a time.

        Raises ApiError where the cloud refuses, and LabError where the lab cannot follow; then nothing is changed.
        """
        books = self._books[cloud]
        before = json.dumps(books.state)
        try:
            result = books.account.call(action, arguments)
            if json.dumps(books.state) != before:
                self._fabric.apply(self._networks())
                self._save()
        except BaseException:
            if json.dumps(books.state) != before:
                self._take_back(cloud, before)
            raise
        return result

    def _take_back(self, cloud: Cloud, before: str) -> None:
        """The account as it was, and of the network what can be."""
        self._books[cloud] = self._open(cloud, before)
        with contextlib.suppress(LabError):
            self._fabric.apply(self._networks())

    @contextlib.contextmanager
    def serving(self) -> Iterator[dict[str, str]]:
        """While it is entered plugins are answered; gives the variables that they need. Waits for machines that boot.

        `told` has then what was said of machines that do not.
        """
        self.told.clear()
        try:
            with Server(self._path.with_name("clouds.sock"), self._handle):
                # Any token opens the account; the real ones have no place in a lab.
                yield {VARIABLE: str(self._path.with_name("clouds.sock")), "DIGITALOCEAN_TOKEN": "the-labs-own"}
        finally:
            self._fabric.settle()

    def _handle(self, cloud: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        known = next((each for each in _ACCOUNTS if each == cloud), None)
        if known is None:
            raise ValueError(f"there is no cloud {cloud}")
        return self.call(known, action, arguments)

    def tell_hosts(self, outputs: Mapping[str, Any]) -> None:
        """Gives the hosts in networks without route tables the routes that the output `SITE.cloud_init` has for them.

        Raises LabError where that does not say what the lab understands.
        """
        for host, namespace in self._around.hosts:
            site = host.network.partition(".")[0]
            if any(each.site == site and isinstance(each.kind, DigitalOcean) for each in self._around.sites):
                ways = [str(address) for address in self.gateway_addresses(site)]
                snippets.carry_out(str(outputs.get(f"{site}.cloud_init", "")), namespace, host.bridge, ways)

    def contents(self) -> dict[str, list[str]]:
        """What is in the accounts, by cloud and kind, besides what was there before; empty where nothing is."""
        return {
            f"{cloud} {kind}": names
            for cloud, books in self._books.items()
            for kind, names in books.account.contents().items()
            if names
        }

    def account(self, cloud: Cloud) -> Account:
        """A cloud's account as it is now."""
        return self._books[cloud].account

    def gateway(self, site: SiteName | str) -> Namespace:
        """The namespace of a site's present gateway. Raises LabError where there is none."""
        return self._fabric.gateway(site)

    def gateway_addresses(self, site: SiteName | str) -> tuple[IPAddress, ...]:
        """A gateway's own addresses in its VPC; none where there is no gateway."""
        return tuple(address.ip for link in self._fabric.gateway_links(site) for address in link.addresses)
