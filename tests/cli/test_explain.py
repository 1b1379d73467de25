"""`meshctl explain`: what it answers, what it shows of the way to the answer, and its exit statuses."""

import json
from pathlib import Path

import pytest

from cli.check import check
from cli.explain import Answer, explain, lines
from cli.main import run
from cli.question import Question
from mesh.reachability import Explanation, FamilyAnswer
from tests.cli.prod import FILE, STACK

COLOS = Path(__file__).parents[1] / "lab/colos.yaml"
RULE = (
    "-A WG0-FWD -m conntrack --ctstate NEW,RELATED,ESTABLISHED --ctproto 6 --ctorigsrc {} --ctorigdst {}"
    ' --ctorigdstport {} -m comment --comment "{}" -j ACCEPT'
)


def answer(directory: Path, *question: str) -> Answer:
    source, destination, *service = question
    found = explain(check("prod", directory / "Pulumi.prod.yaml"), source, destination, next(iter(service), None))
    assert found is not None
    return found


def test_what_passes_is_told_with_its_grant_and_what_let_it_through_at_each_hop(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "ams.lan", "nyc.virbr0", "tcp/443"]) == 0
    rule = RULE.format("10.20.0.0/24", "192.168.122.0/24", 443, "ams.lan -> nyc.virbr0")
    assert capsys.readouterr().out.splitlines() == [
        "ams.lan -> nyc.virbr0 (tcp/443): passes",
        "  Pulumi.prod.yaml:18: access[0]: ams.lan -> nyc.virbr0 (tcp/443, udp/53)",
        f"    ams  rule         {rule}",
        "    ams  allowed IPs  192.168.122.0/24 of nyc",
        "    nyc  source       10.20.0.0/24 of ams",
        f"    nyc  rule         {rule}",
        "    nyc  NAT          -A WG0-POST -s 10.20.0.0/24 -d 192.168.122.0/24 -o virbr0"
        ' -m comment --comment "ams.lan -> nyc.virbr0" -j MASQUERADE',
    ]


def test_what_does_not_pass_is_told_with_what_stops_it(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "ams.lan", "nyc.virbr0", "tcp/22"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ams.lan -> nyc.virbr0 (tcp/22): does not pass",
        "  Pulumi.prod.yaml:18: access[0] lets it open only tcp/443 and udp/53",
        "  Pulumi.prod.yaml:19: access[1] lets it open only tcp/80",
        "    ams  rule         -A WG0-FWD -j DROP",
    ]


def test_a_range_of_which_a_part_passes_shows_both_and_is_no_success(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "ams.lan", "nyc.virbr0", "tcp/443-444"]) == 1
    verdict, *_, told = (line for line in capsys.readouterr().out.splitlines() if "nyc  " not in line)
    assert verdict == "ams.lan -> nyc.virbr0 (tcp/443-444): passes in part: tcp/443"
    assert told == "    ams  allowed IPs  192.168.122.0/24 of nyc"
    assert "    ams  rule         -A WG0-FWD -j DROP (tcp/444)" in lines(
        answer(directory, "ams.lan", "nyc.virbr0", "tcp/443-444"), FILE
    )


def test_of_everything_the_part_that_passes_is_named_and_nobody_reads_of_port_0(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "ams.lan", "nyc.old", "all"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "ams.lan -> nyc.old (all): passes in part: tcp/80"
    dropped = "icmp, tcp/1-79, tcp/81-65535, udp, other protocols"
    assert f"    ams  rule         -A WG0-FWD -j DROP ({dropped})" in told
    assert run(["explain", "ams.lan", "nyc.old", "all", "--json"]) == 1
    out = capsys.readouterr().out
    assert "/0-" not in out.replace("0/24", "")
    (family,) = json.loads(out)["families"]
    assert (family["passing"], family["cases"][0]["passing"]) == ("tcp/80", "tcp/80")
    assert run(["explain", "ams.lan", "nyc.old", "udp"]) == 1
    assert capsys.readouterr().out.startswith("ams.lan -> nyc.old (udp): does not pass\n")


def test_port_0_is_not_told_where_a_rule_begins_at_the_port_after_it(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / FILE).write_text(STACK.replace("tcp/80}", "[tcp/2-65535, udp/1-99]}"))
    assert run(["explain", "ams.lan", "nyc.old", "tcp"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "ams.lan -> nyc.old (tcp): passes in part: tcp/2-65535"
    assert "    ams  rule         -A WG0-FWD -j DROP (tcp/1)" in told
    assert run(["explain", "ams.lan", "nyc.old", "udp"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "ams.lan -> nyc.old (udp): passes in part: udp/1-99"
    assert "    ams  rule         -A WG0-FWD -j DROP (udp/100-65535)" in told


def test_where_nothing_is_granted_a_grant_the_other_way_round_is_named(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "nyc.virbr0", "ams.lan"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "nyc.virbr0 -> ams.lan (anything): does not pass",
        "  no grant lets nyc.virbr0 open anything to ams.lan; the other way round, access[0] and access[1] do",
        "    nyc  rule         -A WG0-FWD -j DROP",
    ]


def test_without_a_service_all_that_passes_is_told(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "ams.lan", "nyc.virbr0"]) == 0
    assert capsys.readouterr().out.startswith("ams.lan -> nyc.virbr0 (tcp/80, tcp/443, udp/53): passes\n")
    assert run(["explain", "nyc.old", "ams.lan"]) == 0
    assert capsys.readouterr().out.startswith(
        "nyc.old -> ams.lan (all): passes\n  Pulumi.prod.yaml:20: access[2]: nyc.old -> ams.lan (everything)\n"
    )


def test_without_a_service_nothing_passes_in_part_and_one_line_tells_what_drops_the_rest(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / FILE).write_text(STACK + "    - {from: ams.lan, to: nyc, ports: tcp/22}\n")
    assert run(["explain", "ams.lan", "nyc"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == [
        "ams.lan -> nyc (tcp/22): passes",
        "  Pulumi.prod.yaml:21: access[3]: ams.lan -> nyc (tcp/22)",
    ]
    assert "  10.20.0.0/24 -> 10.99.0.1 (tcp/22): passes" in told
    assert not any("in part" in line for line in told)
    assert [line for line in told if "DROP" in line] == [told[-1]]
    assert told[-1].startswith("  the rest is dropped at ams: -A WG0-FWD -j DROP")
    assert run(["explain", "ams.lan", "nyc", "all"]) == 1
    assert capsys.readouterr().out.startswith("ams.lan -> nyc (all): passes in part: tcp/22\n")


def test_a_grant_is_told_by_the_selectors_that_the_file_has(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / FILE).write_text(STACK + '    - {from: [nyc.old, "ams.*"], to: "*", ports: tcp/81}\n')
    assert run(["explain", "ams.lan", "nyc.old", "tcp/80"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "  Pulumi.prod.yaml:19: access[1]: ams.lan -> both (tcp/80)"
    assert run(["explain", "ams.lan", "nyc.old", "tcp/81"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "  Pulumi.prod.yaml:21: access[3]: nyc.old, ams.* -> * (tcp/81)"
    assert run(["explain", "nyc.old", "ams", "tcp/81"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "  Pulumi.prod.yaml:21: access[3]: nyc.old -> * (tcp/81)"


def test_a_network_with_another_prefix_for_others_is_told_by_both(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "ams.lan", "nyc.old", "tcp/80"]) == 0
    there = RULE.format("10.20.0.0/24", "10.209.0.0/24", 80, "ams.lan -> nyc.old")
    assert capsys.readouterr().out.splitlines() == [
        "ams.lan -> nyc.old (tcp/80): passes",
        "  Pulumi.prod.yaml:19: access[1]: ams.lan -> both (tcp/80)",
        "  nyc.old: 192.168.9.0/24 at nyc, 10.209.0.0/24 to all others",
        f"    ams  rule         {there}",
        "    ams  allowed IPs  10.209.0.0/24 of nyc",
        "    nyc  source       10.20.0.0/24 of ams",
        "    nyc  NAT          -A WG0-PRE -d 10.209.0.0/24 -j NETMAP --to 192.168.9.0/24",
        f"    nyc  rule         {there}",
    ]


def test_an_echo_between_hosts_needs_no_grant_and_nothing_else_passes_without(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "ams", "nyc", "ping"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "ams -> nyc (ping): passes\n"
        "  no grant lets ams open anything to nyc\n"
        "  an echo between hosts' tunnel addresses needs no grant\n"
    )
    assert "-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.1/32 -p icmp -m icmp --icmp-type 8 -j ACCEPT" in out
    assert run(["explain", "ams", "nyc", "tcp/22"]) == 1
    assert "    nyc  rule         -A WG0-IN -j DROP\n" in capsys.readouterr().out


def test_two_without_an_ip_version_in_common_are_told_so(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "ams.six", "nyc.virbr0", "tcp/443"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ams.six -> nyc.virbr0 (tcp/443): does not pass: the two have no IP version in common",
        "  no grant lets ams.six open anything to nyc.virbr0",
    ]


def test_families_that_differ_are_told_apart() -> None:
    families = (FamilyAnswer(4, "passes", "tcp", ()), FamilyAnswer(6, "one way", "", ()))
    mesh = check("dev", COLOS).mesh
    assert mesh is not None
    ams, fra = mesh.site("ams").networks[0], mesh.site("fra").networks[0]
    question = Question(ams, fra, "tcp")
    found = Answer(question, "tcp", Explanation("ams.lan", "fra.lan", "tcp", families), (), ())
    assert found.verdict == "passes in part: IPv4 passes; IPv6 does not pass: packets arrive, and no answer comes back"
    assert not found.passes
    neither = (FamilyAnswer(4, "does not pass", "", ()), FamilyAnswer(6, "one way", "", ()))
    found = Answer(question, "tcp", Explanation("ams.lan", "fra.lan", "tcp", neither), (), ())
    assert found.verdict == "IPv4 does not pass; IPv6 does not pass: packets arrive, and no answer comes back"
    assert not found.passes


def test_families_that_agree_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(COLOS.read_text())
    assert run(["explain", "ams.lan", "fra.lan", "tcp/22", "-C", str(tmp_path)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[2] == "  10.20.0.0/24 -> 10.40.0.0/24: passes"
    assert out[-1] == "  fd6b:2a91:7c5e:20::/64 -> fd6b:2a91:7c5e:40::/64: likewise"
    assert len(out) == 8


def test_lines_are_broken_for_a_terminal_and_indented_below_themselves(directory: Path) -> None:
    told = list(lines(answer(directory, "ams.lan", "nyc.virbr0", "tcp/443"), FILE, 80))
    assert max(map(len, told)) <= 80
    assert told[3].startswith(" " * 22 + "--ctproto 6")


def test_json_has_the_answer_and_every_step_there_and_back(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "ams.lan", "nyc.old", "tcp/80", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (family,) = found.pop("families")
    assert found == {
        "stack": "prod",
        "file": "Pulumi.prod.yaml",
        "source": "ams.lan",
        "destination": "nyc.old",
        "service": "tcp/80",
        "what": "tcp/80",
        "passes": True,
        "verdict": "passes",
        "grants": [
            {
                "place": "access[1]",
                "line": 19,
                "source": "ams.lan",
                "destination": "both",
                "services": ["tcp/80"],
                "lets": True,
            }
        ],
        "advertised": {"nyc.old": {"192.168.9.0/24": "10.209.0.0/24"}},
    }
    (case,) = family["cases"]
    assert (family["family"], case["source"], case["destination_as"]) == (4, ["10.20.0.0/24"], ["10.209.0.0/24"])
    back = [(step["site"], step["kind"], step["passes"]) for step in case["steps"] if step["answer"]]
    assert ("nyc", "allowed IPs", True) in back
    assert back[-1] == ("ams", "rule", True)
    assert run(["explain", "ams.lan", "nyc.old", "tcp/81", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["passes"], [grant["lets"] for grant in found["grants"]]) == (False, [False])
