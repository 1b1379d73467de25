"""What is not taken over, and what stands in the way of ours: refused with the way out before anything is touched."""

import pytest

from tests.host.byhand import CONF, EXPOSING, adopting, bring_up, bundles, by_hand, live, write
from tests.host.scratch import HELPER, Host
from tests.host.sites import AMS, NYC, SFO, WAN, Keys, between, settle

LACKING = 69


def _refused(host: Host, text: str, *sentence: str) -> None:
    before = host.sh("wg show all dump | sort; ip route; iptables-save | grep ^-A || :; ls -A /etc/wireguard")
    done = host.helper("apply", stdin=text)
    assert (done.returncode, done.stdout) == (LACKING, "")
    assert done.stderr.count("\n") == 1
    for words in sentence:
        assert words in done.stderr
    assert host.sh("wg show all dump | sort; ip route; iptables-save | grep ^-A || :; ls -A /etc/wireguard") == before


def _edited(keys: Keys, line: str) -> str:
    return by_hand(keys, EXPOSING).replace("ListenPort = 51820\n", f"ListenPort = 51820\n{line}\n")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("SaveConfig = true", "has SaveConfig = true: the next 'wg-quick down' would write into it"),
        ("saveconfig=TRUE # of the distribution", "run 'wg-quick save wg0', then take that line out"),
    ],
)
def test_a_file_that_wg_quick_would_write_over_is_refused(nyc: Host, keys: Keys, line: str, sentence: str) -> None:
    bring_up(nyc, _edited(keys, line))
    _refused(nyc, bundles(keys, adopting())["nyc"].text, sentence)
    write(nyc, _edited(keys, "# SaveConfig = true"))
    nyc.answer("apply", stdin=bundles(keys, adopting())["nyc"].text)


def test_an_interface_that_leads_everything_to_a_peer_is_refused(nyc: Host, keys: Keys) -> None:
    bring_up(nyc, by_hand(keys, EXPOSING).replace("10.99.0.2/32", "10.99.0.2/32, 0.0.0.0/0"))
    _refused(nyc, bundles(keys, adopting())["nyc"].text, "wg0 leads everything to a peer", "bring it up without that")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/systemd/network/50-wg.netdev", "[NetDev]\nName = wg0\nKind = wireguard\n"),
        ("/etc/NetworkManager/system-connections/vpn.nmconnection", "[connection]\ninterface-name=wg0\n"),
        ("/etc/netplan/50-wg.yaml", "network:\n  tunnels:\n    wg0:\n      mode: wireguard\n"),
    ],
)
def test_an_interface_that_another_program_sets_up_is_refused(nyc: Host, keys: Keys, path: str, text: str) -> None:
    bring_up(nyc, by_hand(keys, EXPOSING))
    nyc.run("rm", CONF)
    nyc.run("sh", "-c", f"mkdir -p {path.rsplit('/', 1)[0]}; cat >{path}", stdin=text)
    _refused(nyc, bundles(keys, adopting())["nyc"].text, f"{path} sets up wg0 as well")
    nyc.run("tee", path, stdin=text.replace("wg0", "wg01"))
    nyc.answer("apply", stdin=bundles(keys, adopting())["nyc"].text)


def test_an_interface_that_is_no_wireguard_is_refused(nyc: Host, keys: Keys) -> None:
    nyc.run("ip", "link", "add", "wg0", "type", "bridge")
    _refused(nyc, bundles(keys, adopting())["nyc"].text, "wg0 is up and not WireGuard's")


def test_a_peer_in_use_that_the_mesh_does_not_have_is_refused_by_name_and_an_idle_one_is_not(
    trio: dict[str, Host], keys: Keys
) -> None:
    nyc, sfo = trio["nyc"], trio["sfo"]
    peer = "[Peer]\nPublicKey = {}\nAllowedIPs = 10.99.0.3/32, 10.30.0.0/24\n"
    bring_up(nyc, by_hand(keys, EXPOSING) + peer.format(keys.of("sfo").public_key()))
    two, three = bundles(keys, adopting()), bundles(keys, adopting(NYC, AMS, SFO))
    nyc.answer("apply", stdin=two["nyc"].text)
    nyc.answer("rollback")
    bring_up(
        sfo,
        f"[Interface]\nAddress = 10.99.0.3/24\nPrivateKey = {keys.of('sfo').reveal()}\n[Peer]\n"
        f"PublicKey = {keys.of('nyc').public_key()}\nEndpoint = {WAN['nyc']}:51820\nAllowedIPs = 10.99.0.0/24\n",
    )
    sfo.run("ping", "-c", "1", "-w", "20", "10.99.0.1")
    _refused(nyc, two["nyc"].text, "no site for a peer of wg0 that is in use: AllowedIPs 10.99.0.3/32,10.30.0.0/24;")
    # With a site of that address it is known, also where the site gets another key.
    nyc.answer("apply", stdin=three["nyc"].text)
    nyc.answer("rollback")
    other = Keys(private={name: key for name, key in keys.private.items() if name != "sfo"})
    nyc.answer("apply", stdin=bundles(other, adopting(NYC, AMS, SFO))["nyc"].text)


@pytest.mark.parametrize("adopt", [True, False])
@pytest.mark.parametrize("what", ["port", "route"])
def test_another_interface_that_is_in_the_way_is_named(nyc: Host, keys: Keys, what: str, adopt: bool) -> None:
    port = 51820 if what == "port" else 51999
    prefix = "10.20.0.0/24" if what == "route" else "10.77.0.0/24"
    text = (
        f"[Interface]\nListenPort = {port}\nPrivateKey = {keys.of('nyc').reveal()}\n"
        f"[Peer]\nPublicKey = {keys.of('ams').public_key()}\nAllowedIPs = {prefix}\n"
    )
    nyc.run("sh", "-c", "cat >/etc/wireguard/wg-old.conf; chmod 600 /etc/wireguard/wg-old.conf", stdin=text)
    nyc.run("wg-quick", "up", "wg-old")
    access = (("ams.lan", "nyc.virbr0", ""),)
    mesh = adopting(access=access) if adopt else between(NYC, AMS, access=access)
    said = "wg-old listens on UDP port 51820" if what == "port" else "wg-old leads to 10.20.0.0/24"
    way = "take it down (wg-quick down wg-old), or name it as 'interface' in the config"
    _refused(nyc, keys.bundle(mesh, "nyc").text, said, way)
    nyc.run("wg-quick", "down", "wg-old")
    settle(nyc, keys.bundle(mesh, "nyc"))


def test_without_the_word_a_host_is_refused_by_install_and_apply_and_the_word_is_the_way_out(
    nyc: Host, keys: Keys
) -> None:
    bring_up(nyc, by_hand(keys, EXPOSING))
    before = live(nyc)
    for done in (
        nyc.try_("sh", str(HELPER), "install", "wg0"),
        nyc.helper("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text),
    ):
        assert (done.returncode, done.stdout) == (LACKING, "")
        assert "have it taken over ('adopt: true')" in done.stderr
    assert live(nyc) == before
    assert nyc.try_("sh", str(HELPER), "install", "wg0", "whatever").returncode == 64
    said = nyc.run("sh", str(HELPER), "install", "wg0", "adopt")
    assert "the boot stays as it is until a change is confirmed" in said
    assert live(nyc) == before


def test_a_peer_that_answered_before_and_does_not_afterwards_takes_the_host_back(
    pair: dict[str, Host], keys: Keys
) -> None:
    nyc, ams = pair["nyc"], pair["ams"]
    bring_up(nyc, by_hand(keys, EXPOSING))
    bring_up(
        ams,
        f"[Interface]\nAddress = 10.99.0.2/24\nListenPort = 51820\nPrivateKey = {keys.of('ams').reveal()}\n[Peer]\n"
        f"PublicKey = {keys.of('nyc').public_key()}\nEndpoint = {WAN['nyc']}:51820\nAllowedIPs = 10.99.0.0/24\n",
    )
    ams.run("ping", "-c", "1", "-w", "20", "10.99.0.1")
    before = live(nyc)
    bundle = bundles(keys, adopting())["nyc"]
    nyc.answer("apply", stdin=bundle.text)
    ams.sh("ip link set eth0 down")
    done = nyc.helper("confirm", stdin=bundle.generation)
    assert done.returncode == 71
    assert done.stderr == (
        "wireguard-mesh: what answered before this change does not any more: ams;"
        " brought wg0 back to what was set up by hand, since nothing was confirmed\n"
    )
    assert live(nyc) == before


@pytest.mark.parametrize("asked", [False, True])
def test_a_late_confirm_takes_over_what_was_set_up_meanwhile_only_where_that_was_asked_for(
    nyc: Host, keys: Keys, asked: bool
) -> None:
    bundle = bundles(keys, adopting() if asked else between(NYC, AMS))["nyc"]
    nyc.answer("apply", stdin=bundle.text)
    nyc.answer("rollback")
    bring_up(nyc, by_hand(keys, EXPOSING))
    before = live(nyc)
    done = nyc.helper("confirm", stdin=bundle.generation)
    assert (done.returncode, done.stdout) == (75 if asked else LACKING, "")
    if asked:
        assert nyc.answer("confirm", stdin=bundle.generation).startswith(f"confirmed {bundle.generation[:12]}")
    else:
        assert f"{CONF} was not written by us" in done.stderr
        assert live(nyc) == before
