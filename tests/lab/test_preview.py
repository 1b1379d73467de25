"""What a reviewer sees: a preview shows the lines that change, and only those; a fault is told before all else."""

import re
from typing import Any

import pytest

from tests.lab.conftest import Start
from tests.lab.environment import pair, sample

pytestmark = pytest.mark.lab


def outputs_part(stdout: str) -> list[str]:
    """The lines of a preview's outputs."""
    lines = stdout.splitlines()
    start = lines.index("Outputs:") + 1
    end = next(number for number, line in enumerate(lines) if number > start and line.startswith("Resources:"))
    return [line for line in lines[start:end] if line.strip()]


def sites_of_the_sample(*access: dict[str, Any]) -> dict[str, Any]:
    """The sample's sites with grants of the test's own."""
    whole = sample()
    return {**{name: whole[name] for name in ("mesh", "ssh", "sites")}, "access": list(access)}


def cut(line: str) -> str:
    """A long line as the engine shows it without --show-full-output."""
    return line if len(line) <= 150 else f"{line[:150]}..."


def test_a_preview_of_a_new_site_shows_what_it_adds_and_nothing_that_stays(start: Start) -> None:
    environment = start(sites_of_the_sample())
    sfo = environment.config["sites"].pop("sfo")
    environment.config["access"] = [{"from": "ams.lan", "to": "nyc.virbr0"}, {"from": "fra.lan", "to": "ams.lan"}]
    environment.write()
    environment.up()
    environment.config["sites"]["sfo"] = sfo
    environment.config["access"].append({"from": "sfo.lan", "to": "nyc.virbr0"})
    environment.write()
    outcome = environment.deployment.run("preview")
    assert outcome.failure is None, outcome.failure

    changed = [line.strip() for line in outputs_part(outcome.stdout) if re.match(r"\s*[-+~] ", line)]
    text = "\n".join(changed)
    assert "+ sfo.lan -> nyc.virbr0 (all)" in changed
    for site in ("ams", "fra", "nyc"):
        assert any(line.startswith(f"~ {site}.config") for line in changed)
    # One peer more at each of the three, with the prefixes that its grants need.
    assert text.count("+ # sfo") == text.count("+ [Peer]") == 3
    assert changed.count("+ AllowedIPs = 10.99.0.3/32") == 2
    assert changed.count("+ AllowedIPs = 10.30.0.0/24, 10.99.0.3/32") == 1
    # Rules change where the grant ends, and nowhere else.
    assert [line for line in changed if line.startswith("~") and ".rules" in line] == ["~ nyc.rules   :"]
    # Nothing is marked that stays: no grant of the others, no line taken away but those that name nyc's old rules.
    assert not {"+ ams.lan -> nyc.virbr0 (all)", "- ams.lan -> nyc.virbr0 (all)"} & set(changed)
    removed = [line for line in changed if line.startswith("- ")]
    old_rules = re.compile(r"- (PreUp|PostUp) = \S+ (load|forward) %i [0-9a-f]{16}")
    assert len(removed) == 2
    assert all(old_rules.fullmatch(line) for line in removed), removed


def test_a_preview_of_a_grant_shows_its_lines_and_what_other_grants_and_assertions_say_of_it(start: Start) -> None:
    web = {"from": "ams.lan", "to": "nyc.virbr0", "ports": "tcp/80"}
    environment = start(sites_of_the_sample(web, {"from": "fra.lan", "to": "ams.lan", "ports": ["tcp/80", "icmp"]}))
    environment.up()
    environment.config["access"].append({"from": "fra.lan", "to": "nyc.virbr0", "ports": "tcp/443"})
    environment.write()
    outcome = environment.deployment.run("preview")
    assert outcome.failure is None, outcome.failure
    assert outcome.warnings == ()
    changed = [line.strip() for line in outputs_part(outcome.stdout) if re.match(r"\s*[-+] ", line)]
    named = re.compile(r"[-+] (PreUp|PostUp) = \S+ (load|forward) %i [0-9a-f]{16}")
    assert len([line for line in changed if named.fullmatch(line)]) == 8  # at both sites two, old and new
    passes = (
        "-A WG0-FWD -m conntrack --ctstate NEW,RELATED,ESTABLISHED --ctproto 6 --ctorigsrc 10.40.0.0/24"
        ' --ctorigdst 192.168.122.0/24 --ctorigdstport 443 -m comment --comment "fra.lan -> nyc.virbr0" -j ACCEPT'
    )
    assert sorted(line for line in changed if not named.fullmatch(line)) == sorted(
        [
            "+ fra.lan -> nyc.virbr0 (tcp/443)",
            # fra
            "- AllowedIPs = 10.99.0.1/32",
            "+ AllowedIPs = 10.99.0.1/32, 192.168.122.0/24",
            "+ -A WG0-RAW -s 192.168.122.0/24 -j DROP",
            f"+ {cut(passes)}",
            "+ lan -> 192.168.122.0/24",
            # nyc
            "- AllowedIPs = 10.99.0.4/32",
            "+ AllowedIPs = 10.40.0.0/24, 10.99.0.4/32",
            "+ -A WG0-RAW -s 10.40.0.0/24 -j DROP",
            "+ -A WG0-POST -s 10.40.0.0/24 -d 192.168.122.0/24 -o virbr0"
            ' -m comment --comment "fra.lan -> nyc.virbr0" -j MASQUERADE',
            f"+ {cut(passes)}",
        ]
    )

    # What another grant lets pass already is said, and stops nobody.
    environment.config["access"].append({**web, "from": ["ams.lan"]})
    environment.write()
    outcome = environment.deployment.run("preview")
    assert outcome.failure is None, outcome.failure
    assert ["access[3]: says the same as access[0]; leave it out" in warning for warning in outcome.warnings] == [True]

    # What must not be possible is refused, and the grant that would make it so is named.
    environment.config["access"].pop()
    environment.config["assert"] = [{"from": "fra.lan", "to": "nyc.virbr0", "expect": "deny"}]
    environment.write()
    outcome = environment.deployment.run("preview")
    assert outcome.failure is not None
    assert "assert[0]: fra.lan may open tcp/443 to nyc.virbr0, by access[2]" in outcome.failure
    assert "Traceback" not in outcome.failure
    environment.config["access"].pop()
    environment.write()
    assert environment.deployment.run("preview").failure is None


def test_a_config_with_faults_reaches_no_host(start: Start) -> None:
    environment = start(pair())
    count = "iptables -L INPUT -v -x -n | awk '/dpt:22/ { print $1 }'"
    for site in ("ams", "nyc"):
        environment.on(site, "iptables -I INPUT -p tcp --dport 22")
    environment.config["access"] = [{"from": "ams.lna", "to": "nyc.virbr0"}]
    environment.config["sites"]["nyc"]["address"] = "10.99.0.2"
    environment.write()
    outcome = environment.deployment.run("up")
    assert outcome.failure is not None
    assert "the stack config has 2 faults:" in outcome.failure
    assert "access[0].from" in outcome.failure
    assert "sites.nyc.address" in outcome.failure
    assert "Traceback" not in outcome.failure
    assert [environment.on(site, count).strip() for site in ("ams", "nyc")] == ["0", "0"]

    # The counter counts: the same environment without the faults does reach the hosts.
    environment.config = pair()
    environment.write()
    environment.up()
    assert all(int(environment.on(site, count)) > 0 for site in ("ams", "nyc"))


def test_two_labs_side_by_side_do_not_disturb_each_other(start: Start) -> None:
    first, second = start(pair()), start(pair())
    first.up()
    assert first.probe().as_granted
    assert "wg0" not in second.on("nyc", "ip link")
    second.up()
    assert second.probe().as_granted
    second.world.stop()
    assert first.probe().as_granted
