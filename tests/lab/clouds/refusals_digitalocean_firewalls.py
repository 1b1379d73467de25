"""What the stand-in of DigitalOcean refuses of firewalls and tags, and to those without a token."""

from tests.lab.clouds.bench import Made
from tests.lab.clouds.digitalocean_bench import Bench
from tests.lab.clouds.digitalocean_rows import (
    OPENAPI,
    PROVIDER,
    Row,
    firewall,
    rule,
    tag,
)

FIREWALL_LIMITS = "docs.digitalocean.com/products/networking/firewalls/details/limits"


def _without_token(bench: Bench) -> Made:
    bench.configure()
    return tag(bench)


def _hosts(number: int) -> list[str]:
    return [f"10.{part >> 8}.{part & 255}.1" for part in range(number)]


ROWS = (
    Row(
        "no token",
        "anything, without a token",
        "POST https://api.digitalocean.com/v2/tags: 401 Unable to authenticate you",
        "digitalocean/openapi, specification/shared/responses/unauthorized.yml",
        _without_token,
        tag,
    ),
    Row(
        "a firewall's name is taken",
        "a firewall with the name of another one",
        "POST https://api.digitalocean.com/v2/firewalls: 409 duplicate name",
        "github.com/harmony-one/harmony-ops/issues/374",
        lambda bench: (firewall(bench), firewall(bench)),
        lambda bench: (firewall(bench), firewall(bench, name="other")),
    ),
    Row(
        "TCP without ports",
        "a firewall rule of TCP that names no ports",
        "`port_range` of inbound rules is required if protocol is `tcp` or `udp`",
        PROVIDER + "firewall/resource_firewall.go, CustomizeDiff",
        lambda bench: firewall(bench, inboundRules=[rule(None)]),
        lambda bench: firewall(bench, inboundRules=[rule(None, protocol="icmp")]),
    ),
    Row(
        "a firewall without rules",
        "a firewall that says nothing",
        "At least one rule must be specified",
        PROVIDER + "firewall/resource_firewall.go, CustomizeDiff",
        lambda bench: firewall(bench, inboundRules=[]),
        lambda bench: firewall(bench, inboundRules=[rule()]),
    ),
    Row(
        "ports that cannot be",
        "a firewall rule with ports above 65535",
        "422 invalid port range",
        OPENAPI + "firewalls/models/firewall_rule.yml, ports",
        lambda bench: firewall(bench, inboundRules=[rule("51820-70000")]),
        lambda bench: firewall(bench, inboundRules=[rule("51820-65535")]),
    ),
    Row(
        "an address that cannot be",
        "a firewall rule with a prefix that is none",
        "422 invalid address",
        "github.com/digitalocean/terraform-provider-digitalocean/issues/33",
        lambda bench: firewall(bench, inboundRules=[rule("22", "192.0.2.300/24")]),
        lambda bench: firewall(bench, inboundRules=[rule("22", "192.0.2.30", "2001:db8::/32")]),
    ),
    Row(
        "a protocol that firewalls lack",
        "a firewall rule for ESP",
        "expected protocol to be one of [tcp udp icmp], got esp",
        PROVIDER + "firewall/firewalls.go, protocol, StringInSlice",
        lambda bench: firewall(bench, inboundRules=[rule(protocol="esp")]),
        lambda bench: firewall(bench, inboundRules=[rule(protocol="udp")]),
    ),
    Row(
        "a firewall for a tag that is not there",
        "a firewall by a tag, before the tag",
        "422 tag wireguard-mesh:stack:fra does not exist",
        "github.com/poseidon/typhoon/pull/709",
        lambda bench: firewall(bench, tags=["wireguard-mesh:stack:fra"]),
        lambda bench: firewall(bench, tags=[tag(bench).id]),
    ),
    Row(
        "too many rules",
        "a firewall with 51 rules",
        "422 a firewall has a maximum of 50 rules, not 51",
        FIREWALL_LIMITS,
        lambda bench: firewall(bench, inboundRules=[rule(str(port)) for port in range(1, 52)]),
        lambda bench: firewall(bench, inboundRules=[rule(str(port)) for port in range(1, 51)]),
    ),
    Row(
        "too many tags",
        "a firewall by six tags",
        "422 a firewall has a maximum of 5 tags, not 6",
        FIREWALL_LIMITS,
        lambda bench: firewall(bench, tags=[tag(bench, f"t{number}").id for number in range(6)]),
        lambda bench: firewall(bench, tags=[tag(bench, f"t{number}").id for number in range(5)]),
    ),
    Row(
        "too many sources",
        "a firewall rule with 1001 sources",
        "422 a rule has 1 to 1000 sources, not 1001",
        FIREWALL_LIMITS,
        lambda bench: firewall(bench, inboundRules=[rule("22", *_hosts(1001))]),
        lambda bench: firewall(bench, inboundRules=[rule("22", *_hosts(1000))]),
    ),
    Row(
        "a tag's characters",
        "a tag with a dot in its name",
        "tags may contain lowercase letters, numbers, colons, dashes, and underscores",
        PROVIDER + "tag/tags.go, ValidateTag; " + OPENAPI + "tags/models/tags.yml, name",
        lambda bench: tag(bench, "wireguard-mesh:stack:fra.1"),
        lambda bench: tag(bench, "wireguard-mesh:stack:fra-1"),
    ),
)
