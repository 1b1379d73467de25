"""A bundle that is not whole is refused with status 65 before anything is touched."""

import pytest

from mesh.bundle import Bundle
from tests.host.observe import state, traces
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, Keys, between, sealed, settle

SECTIONS = ["@machine", "@interface", "@rules ", "@forwarding", "@rules.v4", "@rules.v6", "@conf", "@end"]
BAD = 65


def _cut(text: str) -> list[str]:
    """The text cut before and after each section's first line, after the header, and short of its end."""
    places = [text.index("\n") + 1, len(text) - 1, len(text) - 5]
    for section in SECTIONS:
        start = text.index(f"\n{section}") + 1
        places += [start, text.index("\n", start) + 1]
    return [text[:place] for place in places if place < len(text)]


def _flipped(text: str) -> list[str]:
    """The text with one bit flipped, in the header and in every section."""
    places = [3, 15, 20, 40, *(text.index(f"\n{section}") + len(section) + 3 for section in SECTIONS[:-1])]
    return [text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :] for place in places]


def test_a_bundle_that_is_empty_cut_or_flipped_is_refused_and_nothing_is_touched(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    before, left = state(nyc), traces(nyc)
    text = keys.bundle(between(NYC, AMS, access=()), "nyc").text
    faulty = ["", "\n", "wireguard-mesh 1", text + "x", text + text, *_cut(text), *_flipped(text)]
    for each in faulty:
        done = nyc.helper("apply", stdin=each)
        assert (done.returncode, done.stdout) == (BAD, ""), each[-80:]
        assert done.stderr.startswith("wireguard-mesh: ")
        assert done.stderr.count("\n") == 1
    assert state(nyc) == before
    assert traces(nyc) == left
    settle(nyc, Bundle(text, text.split()[3]))  # and whole, it is taken


def test_a_bad_first_bundle_leaves_a_blank_host_blank(nyc: Host, keys: Keys) -> None:
    before = traces(nyc)
    assert nyc.helper("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text[:-1]).returncode == BAD
    assert (
        traces(nyc)
        .replace("/run/wireguard-mesh/wg0.lock\n", "")
        .replace("/run/wireguard-mesh/wg0\n", "")
        .replace("/run/wireguard-mesh\n", "")
        == before
    )


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("@interface wg0", "@interface wg1", "is for another interface"),
        ("PreUp = /usr/local/sbin/wireguard-mesh load", "# PreUp =", "does not load its rules"),
        ("-A WG0-IN -j DROP", "-A INPUT -j DROP", "name a chain that is not ours"),
        ("-A WG0-IN -j DROP", "-A WG0-B-IN -j DROP", "name a chain that is not ours"),
        (":WG0-SRC -", ":WG0-SRCX -", "name a chain that is not ours"),
        (":WG0-SRC - [0:0]", "-F FORWARD", "name a chain that is not ours"),
        ("@machine", "@extra\n@machine", "lacks a section, or has one more"),
        ("@end\n", "@end\nmore\n", "lacks a section, or has one more"),
        ("PresharedKey = ", "PresharedKey = x", "has a bad PresharedKey"),
        ("PublicKey = ", "PublicKey = $(reboot)", "has a bad PublicKey"),
        ("PrivateKey = ", "PrivateKey = =", "has a bad PrivateKey"),
    ],
)
def test_a_whole_bundle_that_makes_no_sense_is_refused(
    nyc: Host, keys: Keys, old: str, new: str, sentence: str
) -> None:
    text = keys.bundle(between(NYC, AMS), "nyc").text
    done = nyc.helper("apply", stdin=sealed(text.replace(old, new)).text)
    assert done.returncode == BAD
    assert sentence in done.stderr
    assert keys.of("nyc").reveal() not in done.stderr
    assert not nyc.exists("/etc/wireguard/wg0.d")


def test_a_later_format_of_the_bundle_is_refused(nyc: Host, keys: Keys) -> None:
    text = keys.bundle(between(NYC, AMS), "nyc").text
    done = nyc.helper("apply", stdin=text.replace("wireguard-mesh 1 ", "wireguard-mesh 2 ", 1))
    assert done.returncode == BAD
    assert "no bundle that this version reads" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("apply",),
        ("apply", "wg0", "more"),
        ("frob", "wg0"),
        ("apply", "../x"),
        ("apply", "w" * 16),
        ("apply", "WG0"),
        ("apply", "wG0"),
        ("apply", ""),
        ("load", "wg0"),
    ],
)
def test_wrong_usage_is_64(nyc: Host, words: tuple[str, ...]) -> None:
    done = nyc.try_("/usr/local/sbin/wireguard-mesh", *words)
    assert (done.returncode, done.stdout) == (64, "")
