"""What the stack shows of itself: who reaches whom, and each site's texts without keys."""

from collections.abc import Mapping

from mesh import bundle, firewall, wgconf
from mesh.adoption import adoption_text
from mesh.edge import edges
from mesh.model import Mesh, SiteName
from mesh.plan import SitePlan
from mesh.reachability import SiteTexts, points, reachability


def outputs(mesh: Mesh, plans: Mapping[SiteName, SitePlan]) -> dict[str, str]:
    """The stack's outputs by name: `reachability`, and `SITE.config` and `SITE.rules` for every site.

    Where hosts behind a site have to send something to its gateway, `SITE.routes` says what, by network, unless the
    program itself writes it into route tables: that they do is not ours to see to. Of a host whose hand-made interface
    is taken over, `SITE.adoption` says what becomes of that. Each output is a text of its own, because a preview then
    shows the lines that change: in a map or a list it repeats what stayed the same. None depends on a key or on
    anything else that only an `up` makes known.
    """
    texts = site_texts(plans)
    shown = {"reachability": reachability_text(mesh, texts)}
    for name, text in texts.items():
        shown[f"{name}.config"] = text.conf
        shown[f"{name}.rules"] = f"# IPv4\n{text.rules_v4}# IPv6\n{text.rules_v6}"
        routes = [f"{edge.network.name} -> {route}\n" for edge in edges(plans[name]) for route in edge.routes]
        if routes and not plans[name].site.routed:
            shown[f"{name}.routes"] = "".join(routes)
        if plans[name].site.adopts:
            shown[f"{name}.adoption"] = adoption_text(plans[name], shown["reachability"])
    return shown


def site_texts(plans: Mapping[SiteName, SitePlan]) -> dict[SiteName, SiteTexts]:
    """What every site gets, in words where a key stands; no key is needed for it."""
    return {name: _texts(plan) for name, plan in plans.items()}


def reachability_text(mesh: Mesh, texts: Mapping[SiteName, SiteTexts]) -> str:
    """A line `FROM -> TO (WHAT)` for each pair that passes, as the texts say.

    There is no colon in it: the engine would take it for YAML, and show what stays the same along with what changes.
    Between endpoints an echo always passes: that is one line for all of them, and a line for each pair where not.
    """
    reached = reachability(texts, points(mesh))
    lines = ["every endpoint -> every endpoint (ping)"]
    for source in mesh.sites:
        for destination in mesh.sites:
            if source.name != destination.name and destination.name not in reached.get(source.name, {}):
                lines.append(f"{source} -> {destination} (nothing, not even ping)")
    for source_name, destinations in reached.items():
        lines += [f"{source_name} -> {name} ({what})" for name, what in destinations.items() if what != "ping"]
    return "\n".join(lines) + "\n"


def _texts(plan: SitePlan) -> SiteTexts:
    return SiteTexts(
        conf=wgconf.render_without_keys(plan, bundle.rules_id(bundle.rules(plan))),
        rules_v4=firewall.render(plan.firewall, 4),
        rules_v6=firewall.render(plan.firewall, 6),
        interface=plan.interface,
    )
