"""What an `up` does with a host that runs WireGuard by hand, in words that a preview shows."""

from collections.abc import Iterator

from mesh.plan import SitePlan


def adoption_text(plan: SitePlan, reachability: str) -> str:
    """What becomes of the interface, its file, its rules and its flows; `reachability` is the output of that name.

    Nothing in it depends on the host, which a preview does not ask. There is no colon in it, as there is none in the
    reachability, and for the same reason.
    """
    interface = plan.interface
    conf = f"/etc/wireguard/{interface}.conf"
    own = (
        "its private key becomes the one in the config, and where that is the one it has, no session ends"
        if plan.site.private_key
        else "it gets a new private key, and no tunnel to it works until the other sites know that"
    )
    flows = list(_through(plan.site.name, reachability)) or ["none but ping between the endpoints"]
    return (
        f"Where {interface} was set up by hand on this host, the up takes it over\n"
        f"- {interface} goes on without a restart; {own}\n"
        "- its addresses, peers and routes become those in the config; a peer in use that is no site has it refused\n"
        "- our rules come before all others, so that what only other rules allow through it ends when it is applied\n"
        f"- until that is confirmed {conf} stays as it is, and the host goes back to what it was\n"
        f"- then the file becomes {conf}.adopted, and its PreDown and PostDown are run, which takes its rules away\n"
        "Flows through it that go on or begin\n" + "".join(f"  {line}\n" for line in flows)
    )


def _through(site: str, reachability: str) -> Iterator[str]:
    """The lines that have the site or one of its networks at an end."""
    for line in reachability.splitlines():
        source, _, rest = line.partition(" -> ")
        if site in (source.split(".")[0], rest.split(" (")[0].split(".")[0]):
            yield line
