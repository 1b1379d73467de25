"""Writes docs/configuration.md from the models of the stack config: `python -m cli.reference`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mesh.config.schema import StackPart

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"

_HEAD = """\
# Configuration

<!-- Written by `python -m cli.reference` from the models in mesh/config/. Change the descriptions there. -->

An environment is a stack, and a stack is one file: `Pulumi.<stack>.yaml`. [Pulumi.dev.yaml](../Pulumi.dev.yaml) is the
sample, with comments. `meshctl check <stack>` reports every fault of a file, each with its line and the way out; the
program checks the same before it touches anything.

- An unknown key is a fault, not ignored. A key without a value counts as left out.
- Where the value is something `or a list`, one may be written alone. `access`, `assert` and `probes` are lists always.
- Secrets (`private_key`, `token`) are encrypted in the file, by `pulumi config set --path --secret
  'wireguard-mesh:PLACE'`, where PLACE is like `sites.nyc.private_key`. In plain text they are a fault, and so is an
  encrypted value that is no secret.
- Sites, networks and groups are named by DNS labels: up to 63 of a-z, 0-9 and -, and not `secure`. Their order in the
  file means nothing; the engine sorts them by name.
- A selector names hosts: `site.network`, a network; `site`, the site's host itself; `site.*`, every network of the
  site, without its host; `"*"`, every host and every network of the mesh (in YAML a `*` that stands alone takes
  quotes); or the name of a group. Pairs at one site that come of wildcards or groups are left out: their flows cross no
  tunnel. Both written by name, `ams.dmz` to `ams.lan`, they are a fault.
- A port is written with its protocol: `tcp/443`, `udp/53`, `tcp/8000-8100`; `tcp` or `udp` alone is all of its ports,
  and `icmp` has none. Echo between the sites' own addresses in the tunnel always passes, for diagnosis.
- No two networks of a mesh overlap, nor does one overlap the tunnel's network or contain an endpoint's address. What
  counts is what a network is advertised as: two sites may have the same `cidr` where both have `advertise_as`.
- A network that is opened to other sites says how answers come back, by `masquerade` or `return_route`. Behind a
  machine in a cloud that is said already: on AWS by route tables, at DigitalOcean by masquerading.
- A machine in a cloud is made with its firewall. SSH is let in from `operators` only, which therefore is required, and
  WireGuard from what every other site of the mesh sends from; its networks lie in its VPC.
- `meshctl check` warns of a grant that another one contains, of `return_route` beside `masquerade`, of `operators` that
  are the whole internet, of a colo without `sends_from` and without a fixed public address in a mesh with machines in
  clouds, of a site that is `paused`, of `adopt` without a `private_key`, and of more firewall rules or routes than the
  cloud of a site takes by default. These are no faults.
- Hosts at addresses and names kept for documentation are a fault. In the sample, the stack `dev`, `meshctl check` only
  notes them, since the lab takes them; a real `pulumi up` refuses them there as well.
"""


def page() -> str:
    """The whole page, in Markdown."""
    schema = StackPart.model_json_schema()
    sections = [_HEAD]
    for where, part in _parts(schema, schema, ""):
        title = f"`wireguard-mesh:{where}`" if where else "The sections, in the namespace `wireguard-mesh`"
        rows = [_row(schema, name, field) for name, field in part["properties"].items()]
        table = ["| Key | Value | Default | Meaning |", "|---|---|---|---|", *rows]
        sections.append(f"## {title}\n\n{part['description']}\n\n" + "\n".join(table) + "\n")
    return "\n".join(sections)


def _parts(schema: dict[str, Any], part: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """This part and all that lie in it, each with its place."""
    yield where, part
    for name, field in part["properties"].items():
        inner, below = _inner(schema, field)
        if inner:
            yield from _parts(schema, inner, f"{where}.{name}{below}" if where else f"{name}{below}")


def _inner(schema: dict[str, Any], field: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The part that a field leads to, if any, and how its place goes on."""
    choices = [field, *field.get("anyOf", [])]
    for choice in choices:
        for below, found in (("", choice), (".NAME", choice.get("additionalProperties")), ("[N]", choice.get("items"))):
            if isinstance(found, dict) and "$ref" in found:
                return schema["$defs"][found["$ref"].rpartition("/")[2]], below
    return None, ""


def _row(schema: dict[str, Any], name: str, field: dict[str, Any]) -> str:
    default = field.get("default")
    inner, _ = _inner(schema, field)
    meaning = field.get("description") or (inner or {})["description"]  # pydantic writes the same text only once
    if field.get("required"):
        shown = "**required**"
    elif default in (None, {}, []) or isinstance(default, dict):
        shown = ""
    else:
        shown = f"`{json.dumps(default).strip(chr(34))}`"
    return f"| `{name}` | {_value(schema, field)} | {shown} | {meaning} |"


def _value(schema: dict[str, Any], field: dict[str, Any]) -> str:
    inner, below = _inner(schema, field)
    if inner:
        return {"": "mapping", ".NAME": "mapping by name", "[N]": "list of mappings"}[below]
    choices = [choice for choice in (field, *field.get("anyOf", [])) if choice.get("type") != "null"]
    named = next((choice for choice in choices if "minimum" in choice or _titled(choice)), choices[-1])
    if "minimum" in named:
        return f"{named['minimum']} to {named['maximum']}"
    if "enum" in named:
        return " or ".join(f"`{word}`" for word in named["enum"])
    if named.get("type") == "boolean":
        return "`true` or `false`"
    return str(named.get("title", named.get("type", "")))


def _titled(choice: dict[str, Any]) -> bool:
    """True for a title of ours; pydantic's own titles are in capitals."""
    title = str(choice.get("title", ""))
    return title != "" and (title[0].islower() or title.startswith("CIDR"))


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
