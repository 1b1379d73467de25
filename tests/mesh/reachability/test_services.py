"""Services told from texts that are written by hand: what rules for one open, and whether one passes between two."""

import pytest

from tests.mesh.reachability.handwritten import (
    ACCEPT,
    AMS,
    GATEWAYS_PING,
    GRANT,
    LIKE_AN_ANSWER,
    NYC,
    Texts,
)


def lan(answer: str) -> dict[str, dict[str, str]]:
    """What there is when ams.lan reaches nyc.virbr0 with that answer."""
    return GATEWAYS_PING | {"ams.lan": {"nyc.virbr0": answer}}


def reached(texts: Texts) -> str:
    return texts.answers().get("ams.lan", {}).get("nyc.virbr0", "")


@pytest.mark.parametrize(
    ("match", "answer"),
    [
        ("--ctproto tcp {} --ctorigdstport 443", "tcp/443"),
        ("--ctproto 6 {} --ctorigdstport 443", "tcp/443"),
        ("--ctproto tcp {} --ctorigdstport 8000:8100", "tcp/8000-8100"),
        ("--ctproto tcp {}", "tcp"),
        ("--ctproto udp {} --ctorigdstport 65535", "udp/65535"),
        ("--ctproto icmp {}", "icmp"),
    ],
)
def test_a_service_is_all_that_a_rule_for_it_opens(match: str, answer: str) -> None:
    assert Texts().both(GRANT, match.format(GRANT)).answers() == lan(answer)


def test_two_ends_that_open_different_ports_open_what_both_do() -> None:
    texts = Texts().edit(NYC, GRANT, f"--ctproto tcp {GRANT} --ctorigdstport 8000:8100")
    assert reached(texts.edit(AMS, GRANT, f"--ctproto tcp {GRANT} --ctorigdstport 8050:9000")) == (
        "tcp/8050-8100; tcp/8101-9000 (granted at ams, does not pass); tcp/8000-8049 (granted at nyc, does not pass)"
    )
    assert reached(texts.edit(AMS, GRANT, f"--ctproto udp {GRANT} --ctorigdstport 8000:8100")) == (
        "udp/8000-8100 (granted at ams, does not pass); tcp/8000-8100 (granted at nyc, does not pass)"
    )


def test_several_services_are_listed_and_neighbouring_ports_are_one_range() -> None:
    rules = [f"--ctproto {what}" for what in ("tcp {} --ctorigdstport 80", "tcp {} --ctorigdstport 81", "udp {}")]
    accepts = "".join(ACCEPT.replace(GRANT, rule.format(GRANT)) for rule in rules)
    assert Texts().both(ACCEPT, accepts).answers() == lan("tcp/80-81, udp")


@pytest.mark.parametrize("service", ["all", "ping", "icmp", "tcp", "tcp/443", "udp/8000-8100", "udp/65535"])
def test_whether_a_service_passes_can_be_asked_for_one_pair(service: str) -> None:
    asked = Texts().asked()
    assert asked.passes("ams.lan", "nyc.virbr0", service, 4)
    assert not asked.passes("nyc.virbr0", "ams.lan", service, 4)
    assert not asked.passes("ams.lan", "nyc.virbr0", service, 6)
    assert asked.passes("ams", "nyc", service, 4) is (service == "ping")


def test_a_service_passes_only_where_all_of_it_does() -> None:
    granted = f"--ctproto 6 {GRANT} --ctorigdstport 8000:8100"
    asked = Texts().both(LIKE_AN_ANSWER).both(GRANT, granted).asked()
    assert [
        service
        for service in ("tcp/7999", "tcp/8000", "tcp/8000-8100", "tcp/8100", "tcp/8050-8101", "tcp/8101", "udp/8000")
        if asked.passes("ams.lan", "nyc.virbr0", service, 4)
    ] == ["tcp/8000", "tcp/8000-8100", "tcp/8100"]
    half = Texts().edit(NYC, GRANT, GRANT.replace("10.20.0.0/24", "10.20.0.0/25")).asked()
    assert not half.passes("ams.lan", "nyc.virbr0", "ping", 4)


def test_the_answer_for_one_pair_is_without_what_only_the_table_remarks() -> None:
    asked = Texts().edit(NYC, LIKE_AN_ANSWER).asked()
    assert asked.table()["ams.lan"]["nyc.virbr0"] != "all"
    assert asked.answer("ams.lan", "nyc.virbr0") == "all"
    assert asked.answer("nyc.virbr0", "ams.lan") == ""


@pytest.mark.parametrize("service", ["ssh", "tcp/", "tcp/65536", "tcp/2-1", "icmp/8", "TCP/22", ""])
def test_what_is_no_service_is_refused(service: str) -> None:
    with pytest.raises(ValueError, match=f"'{service}' is not a service; write all, ping, icmp, tcp"):
        Texts().asked().passes("ams.lan", "nyc.virbr0", service, 4)


def test_a_pair_that_cannot_be_asked_about_is_refused() -> None:
    with pytest.raises(KeyError, match=r"nyc\.lan"):
        Texts().asked().passes("ams.lan", "nyc.lan", "ping", 4)
    with pytest.raises(ValueError, match=r"ams\.lan and ams\.guests are at one site"):
        Texts().asked().passes("ams.lan", "ams.guests", "ping", 4)
