"""What is counted: connections as the kernel tells them, and pings without an answer, however long a flow lasts."""

from pathlib import Path

import pytest

from bench.counting import answered, lost, taken_connections

SNMP = """\
Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm RtoMin ActiveOpens PassiveOpens AttemptFails
Tcp: 1 200 3 17 0
Udp: InDatagrams
Udp: 5
"""


def test_connections_are_those_that_others_opened() -> None:
    assert taken_connections(SNMP) == 17


def test_this_kernel_tells_of_connections() -> None:
    assert taken_connections(Path("/proc/net/snmp").read_text()) >= 0


@pytest.mark.parametrize("text", ["", "Tcp: ActiveOpens\nTcp: 3\n"], ids=["nothing", "no-such-column"])
def test_a_kernel_that_does_not_tell_is_no_zero(text: str) -> None:
    with pytest.raises(ValueError, match="does not tell"):
        taken_connections(text)


def line(number: int) -> str:
    return f"64 bytes from 10.128.2.2: icmp_seq={number} ttl=62 time=0.52 ms"


def test_an_answer_has_the_number_of_its_ping() -> None:
    assert answered(line(12), 0) == 12
    assert answered(line(12), 15) == 12


@pytest.mark.parametrize(
    "said",
    [
        "PING 10.128.2.2 (10.128.2.2) 56(84) bytes of data.",
        "From 10.128.1.1 icmp_seq=12 Destination Net Unreachable",
        "",
    ],
    ids=["head", "unreachable", "empty"],
)
def test_what_is_no_answer_has_no_number(said: str) -> None:
    assert answered(said, 0) is None


def test_numbers_go_on_when_their_16_bits_run_over() -> None:
    assert answered(line(3), 65_530) == 65_539
    assert answered(line(65_530), 65_539) == 65_530, "one that is late"
    assert answered(line(0), 5 * 65_536 - 1) == 5 * 65_536


def test_lost_are_those_in_between_that_nobody_answered() -> None:
    assert lost({1, 2, 4, 6, 9}, 2, 6) == [3, 5]
    assert lost({1, 2, 3}, 1, 3) == []
