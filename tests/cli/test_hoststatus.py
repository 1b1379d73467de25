"""What a host answers to `status` is read as data, and what is no such answer is refused."""

import pytest

from cli.hoststatus import HostStatus, PeerStatus, parse

ONE, TWO = "1f" * 32, "2e" * 32
WHOLE = f"""\
interface: wg0
confirmed: {ONE}
staged: {TWO}
live: {TWO}
goes back: in 87 s, unless it is confirmed
wireguard: wireguard-go
peers: 2
forwarding: in place
rules.v4: b1bb05a8b7718fb3 in place
clock: 1795447212
handover: ams, nyc
adopted: /etc/wireguard/wg0.conf.adopted; line 9 failed (exit status 1)
peer ams: handshake 12 s ago, changed long ago, received 1024, sent 2048
peer use1-b: handshake never, changed 3 s ago, received 0, sent 148
drift: peer ams differs: allowed IPs, keepalive
drift: route fd20::/64 missing
"""
DOWN = f"interface: wg0\nconfirmed: {ONE}\nstaged: none\nlive: none\nclock: 7\ndrift: none\n"


def test_each_line_is_read() -> None:
    assert parse(WHOLE) == HostStatus(
        confirmed=ONE,
        staged=TWO,
        live=TWO,
        goes_back_in=87,
        backend="wireguard-go",
        peers=(PeerStatus("ams", 12, None, 1024, 2048), PeerStatus("use1-b", None, 3, 0, 148)),
        drift=("peer ams differs: allowed IPs, keepalive", "route fd20::/64 missing"),
        clock=1795447212,
        handover=("ams", "nyc"),
        adopted="/etc/wireguard/wg0.conf.adopted; line 9 failed (exit status 1)",
    )


def test_a_host_whose_interface_is_down_has_none_of_the_rest() -> None:
    assert parse(DOWN) == HostStatus(ONE, None, None, None, "", (), (), 7)


def test_keys_that_it_does_not_know_are_left_alone() -> None:
    assert parse("colour: blue\n" + DOWN) == parse(DOWN)


def test_a_number_of_seconds_that_is_over_is_read() -> None:
    assert parse(WHOLE.replace("in 87 s", "in -2 s")).goes_back_in == -2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f"confirmed: {ONE}\n", "", "'confirmed: ...'"),
        ("live: none\n", "", "'live: ...'"),
        ("clock: 7\n", "", "'clock: ...'"),
        ("drift: none\n", "", "'drift: ...'"),
        ("clock: 7", "clock: noon", "noon"),
        ("clock: 7", "peer ams: handshake soon, changed long ago, received 1, sent 2", "peer ams"),
        ("clock: 7", "goes back: perhaps\nclock: 7", "perhaps"),
        ("interface: wg0", "Welcome!", "Welcome!"),
    ],
)
def test_what_is_no_such_answer_is_refused(old: str, new: str, message: str) -> None:
    assert old in DOWN
    with pytest.raises(ValueError, match=message):
        parse(DOWN.replace(old, new))


def test_no_answer_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="confirmed"):
        parse("")
