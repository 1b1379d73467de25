"""Checks that what a granted flow is answered with finds its way back to the gateway."""

from collections.abc import Iterator

from mesh.config import clouds
from mesh.config.draft import Draft, Within
from mesh.config.faults import Found, Loc, place
from mesh.config.selectors import Selection, sites_by_version

_WAY_BACK = (
    "give it 'masquerade: true', or 'return_route: manual' where this host is their router or their router has a route"
    " through it"
)


def check(draft: Draft, selection: Selection) -> Iterator[Found]:
    """Yields a fault for each network that others may open flows to, and of whose way back nothing is said.

    Without one the hosts answer to their default router, and the flow hangs: nothing in the mesh could show why.
    """
    told: set[str] = set()
    for number, grant in enumerate(draft.config.access):
        openers = [selection.known[name] for name in selection.parties(grant.source or ()) if name in selection.known]
        opening = sites_by_version((party.site, party.opens) for party in openers)
        for name in selection.parties(grant.destination or ()):
            opened = selection.known.get(name)
            if opened is None or opened.network is None or name in told:
                continue
            if not any(opening[version] - {opened.site} for version in opened.reached):
                continue
            told.add(name)
            loc: Loc = ("sites", opened.site, "networks", opened.network)
            site = draft.config.sites[opened.site]
            network = site.networks[opened.network]
            unread = draft.spoilt(*loc, "masquerade") or draft.spoilt(*loc, "return_route")
            # Of what kind a site is has a fault: who leads answers back is unknown.
            unread |= len(clouds.kinds(draft, opened.site)) != 1 or (site.colo is None and site.cloud is None)
            if unread or site.masquerades(network) or network.return_route:
                continue
            way_back = site.cloud.way_back.format(site=opened.site) if site.cloud else _WAY_BACK
            if site.cloud is None or not site.cloud.routed(Within(draft, ("sites", opened.site, site.cloud.kind))):
                yield (
                    loc,
                    f"{place(('access', number))} lets other sites open flows to it, and nothing says how its hosts'"
                    f" answers come back; {way_back}",
                )
