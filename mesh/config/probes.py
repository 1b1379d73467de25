"""Checks of the probes: whether each says from where, to where, what, and what is expected of it."""

from collections.abc import Iterator

from mesh.config.draft import Draft
from mesh.config.faults import Found, Loc, nearest, shown


def check(draft: Draft) -> Iterator[Found]:
    """Yields the faults of `probes` that can be seen without the grants."""
    sites = draft.names("sites")
    for number, probe in enumerate(draft.config.probes):
        loc: Loc = ("probes", number)
        for key, way_out in (
            ("from", "name the site whose host opens it"),
            ("to", "give the address to reach, for example 10.20.0.5"),
            ("port", "write it like tcp/443, or icmp"),
            ("expect", "write allow or deny"),
        ):
            if draft.misses(*loc, key):
                yield (*loc, key), f"is missing; {way_out}"
        if probe.source is not None and probe.source not in sites and not draft.spoilt("sites"):
            what = "a network: a probe goes out from a site's host" if "." in probe.source else "no site"
            yield (*loc, "from"), f"{shown(probe.source)} is {what}; {nearest(probe.source, sites)}"
