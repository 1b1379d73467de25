"""Answers stay one short line, whatever the system's programs say and however much has changed."""

import pytest

from mesh.bundle import Bundle
from tests.host.outcome import Prepared, refused
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, Keys, between, sealed, settle

# 100 kB without an end of line, on both streams, and then what the program does or that it fails.
_SPITS = 'say() {{ head -c 100000 /dev/zero | tr "\\0" x; }}; case "$*" in {0}) say; say >&2; {1} ;; esac'
SHORT = 1600


def _spitting(host: Host, program: str, words: str, then: str) -> None:
    real = host.run("sh", "-c", f"command -v {program}").strip()
    host.run("sh", "-c", f"cat >/usr/local/bin/{program}; chmod 755 /usr/local/bin/{program}",
             stdin=f'#!/bin/sh\n{_SPITS.format(words, then)}\nexec {real} "$@"\n')  # fmt: skip


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("ip", "*batch*"),
        ("wg", "set*peer*allowed-ips*"),
        ("wg", "*remove"),
        ("iptables-restore", "*"),
        ("ip6tables-restore", "*"),
        ("iptables-save", "*"),
        ("ip", "link*mtu*"),
        ("ip", "*route*add*"),
    ],
)
def test_what_a_failing_program_says_is_cut_and_the_host_goes_back(
    nyc: Host, keys: Keys, program: str, words: str
) -> None:
    each = Prepared.of(nyc, keys)
    # Once: going back meets no fault.
    _spitting(nyc, program, words, f"/bin/rm /usr/local/bin/{program}; exit 1")
    refused(each.apply(), 71, f"{program}: x+; went back to {each.confirmed.generation[:12]}")
    each.runs_confirmed()
    each.converges()


@pytest.mark.parametrize("program", ["wg", "ip", "iptables", "iptables-restore", "nft", "conntrack", "sync", "setsid"])
def test_what_a_program_says_that_does_its_work_is_in_no_answer(nyc: Host, keys: Keys, program: str) -> None:
    each = Prepared.of(nyc, keys)
    real = nyc.run("sh", "-c", f"command -v {program}").strip()
    script = f'#!/bin/sh\nhead -c 100000 /dev/zero | tr "\\0" x >&2\nexec {real} "$@"\n'
    nyc.run("sh", "-c", f"cat >/usr/local/bin/{program}; chmod 755 /usr/local/bin/{program}", stdin=script)
    for verb, stdin in (("apply", each.new.text), ("confirm", each.new.generation), ("rollback", "")):
        done = nyc.helper(verb, stdin=stdin)
        assert done.returncode == 0, done.stderr[-300:]
        assert done.stdout.count("\n") == 1
        assert len(done.stdout + done.stderr) < SHORT, (verb, len(done.stdout), len(done.stderr))
        assert done.stderr.count("\n") <= 1
    nyc.sh(f"rm /usr/local/bin/{program}")
    each.converges()


def test_an_answer_about_a_thousand_routes_is_cut_and_says_how_many_more(nyc: Host, keys: Keys) -> None:
    text = keys.bundle(between(NYC, AMS), "nyc").text
    many = "".join(f", 10.{70 + number // 250}.{number % 250}.0/24" for number in range(1000))
    settle(nyc, sealed(text))
    done = nyc.helper("apply", stdin=_with_many(text, many).text)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert len(done.stdout) < SHORT
    assert done.stdout.endswith(" more\n")
    assert nyc.sh("ip route show dev wg0 | wc -l").strip() == "1002"


def _with_many(text: str, many: str) -> Bundle:
    assert "AllowedIPs = 10.20.0.0/24" in text
    return sealed(text.replace("AllowedIPs = 10.20.0.0/24", f"AllowedIPs = 10.20.0.0/24{many}"))


def test_no_answer_of_a_host_without_anything_is_more_than_a_line(blank: Host) -> None:
    blank.install()
    for verb in ("apply", "confirm", "rollback", "remove"):
        done = blank.helper(verb)
        assert (done.stdout + done.stderr).count("\n") == 1, verb
        blank.install()
