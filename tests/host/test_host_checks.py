"""What a host may lack or have of its own: refused with status 69 and a way out, before anything is touched."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from mesh.bundle import Bundle
from tests.host.observe import peers, rules, traces
from tests.host.scratch import HELPER, Host
from tests.host.sites import AMS, NYC, Keys, between, settle
from tests.mesh.meshes import mesh, network, site

LACKING = 69
RESOLVCONF = """#!/bin/sh
echo "$*" >>/run/resolvconf.calls
[ "$1" != -a ] || cat >"/run/resolvconf.$2"
[ "$1" != -d ] || rm -f "/run/resolvconf.$2"
"""
IPV4_ONLY = mesh(
    site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24", masquerade=True), endpoint="203.0.113.1"),
    site("ams", "10.99.0.2", network("lan", "10.20.0.0/24", interface="br0"), endpoint="203.0.113.2"),
    access=[("ams.lan", "nyc.virbr0", "")],
)


def _program(host: Host, path: str, text: str) -> None:
    host.run("sh", "-c", f"mkdir -p {path.rsplit('/', 1)[0]}; cat >{path}; chmod 755 {path}", stdin=text)


def _refused(host: Host, bundle: Bundle, *sentence: str) -> None:
    """The bundle is refused with all these words on one line, and the host is as it was."""
    host.answer("rollback")  # leaves its lock
    before = traces(host)
    done = host.helper("apply", stdin=bundle.text)
    assert (done.returncode, done.stdout) == (LACKING, "")
    assert done.stderr.count("\n") == 1
    for words in sentence:
        assert words in done.stderr
    assert traces(host) == before


def _with_dns(*servers: str) -> Bundle:
    return KEYS.bundle(between(replace(NYC, dns=tuple(map(ip_address, servers))), AMS), "nyc")


KEYS = Keys()


def test_dns_without_a_resolvconf_is_refused_with_both_ways_out(nyc: Host) -> None:
    bundle = _with_dns("192.168.122.1")
    # systemd and others bring a resolvconf; this host must have none.
    nyc.sh("for folder in /usr/sbin /usr/bin; do test ! -e $folder/resolvconf || exit 1; done")
    _refused(nyc, bundle, "install one", "or remove 'dns'")


def test_dns_with_a_resolvconf_follows_the_config_on_the_live_interface(nyc: Host) -> None:
    _program(nyc, "/usr/local/sbin/resolvconf", RESOLVCONF)
    settle(nyc, _with_dns("192.168.122.1"))
    assert nyc.read("/run/resolvconf.wg0") == "nameserver 192.168.122.1\n"
    calls = nyc.read("/run/resolvconf.calls")
    assert settle(nyc, _with_dns("192.168.122.1")) == ("nothing changed", "confirmed already")
    assert nyc.read("/run/resolvconf.calls") == calls
    answer, _ = settle(nyc, _with_dns("192.168.122.1", "fd22::1"))
    assert answer.endswith(": dns changed")
    assert nyc.read("/run/resolvconf.wg0") == "nameserver 192.168.122.1\nnameserver fd22::1\n"
    settle(nyc, _with_dns())
    assert not nyc.exists("/run/resolvconf.wg0")
    settle(nyc, _with_dns("192.168.122.1"))
    nyc.answer("remove")
    assert not nyc.exists("/run/resolvconf.wg0")
    # As wg-quick itself calls it, at first and at last.
    lines = nyc.read("/run/resolvconf.calls").splitlines()
    assert [lines[0], lines[-1]] == ["-a wg0 -m 0 -x", "-d wg0 -f"]


def test_dns_is_registered_under_the_name_that_resolvconf_orders_by(nyc: Host) -> None:
    _program(nyc, "/usr/local/sbin/resolvconf", RESOLVCONF)
    nyc.sh("mkdir -p /etc/resolvconf; printf 'lo.inet6\\ntun*\\neth*\\n' >/etc/resolvconf/interface-order")
    settle(nyc, _with_dns("192.168.122.1"))
    settle(nyc, _with_dns("192.168.122.2"))
    assert nyc.read("/run/resolvconf.tun.wg0") == "nameserver 192.168.122.2\n"


def test_a_missing_lan_interface_is_refused(nyc: Host) -> None:
    nyc.run("ip", "link", "del", "virbr0")
    _refused(nyc, KEYS.bundle(between(NYC, AMS), "nyc"), "no interface virbr0", "correct 'interface'")


def test_a_hand_written_configuration_is_refused_and_left_alone(nyc: Host) -> None:
    nyc.run("tee", "/etc/wireguard/wg0.conf", stdin="[Interface]\nListenPort = 1234\n")
    nyc.run("chmod", "600", "/etc/wireguard/wg0.conf")
    nyc.run("wg-quick", "up", "wg0")
    _refused(nyc, KEYS.bundle(between(NYC, AMS), "nyc"), "wg0.conf was not written by us", "wg-quick down wg0")
    done = nyc.try_("sh", str(HELPER), "install", "wg0")
    assert (done.returncode, done.stdout) == (LACKING, "")
    assert "wg0.conf was not written by us; stop it (wg-quick down wg0) and move it away" in done.stderr
    assert nyc.answer("remove") == "nothing of ours on this host"
    assert nyc.read("/etc/wireguard/wg0.conf") == "[Interface]\nListenPort = 1234\n"
    assert nyc.run("wg", "show", "wg0", "listen-port") == "1234\n"


def test_an_interface_of_somebody_else_is_refused_and_left_alone(nyc: Host) -> None:
    nyc.run("ip", "link", "add", "wg0", "type", "bridge")
    _refused(nyc, KEYS.bundle(between(NYC, AMS), "nyc"), "wg0 is up and not ours")
    nyc.answer("remove")
    nyc.run("ip", "link", "show", "dev", "wg0")


@pytest.mark.parametrize("how", ["not there", "disabled"])
def test_a_host_without_ipv6_takes_what_needs_none_and_refuses_what_does(nyc: Host, how: str) -> None:
    nyc.sh("ip link set virbr0 down; ip -6 address flush dev virbr0; ip link set virbr0 up")
    if how == "not there":
        nyc.sh("mount -t tmpfs tmpfs /proc/sys/net/ipv6")
        # What comes with IPv6 does not work either.
        for program in ("ip6tables", "ip6tables-save", "ip6tables-restore"):
            _program(nyc, f"/usr/local/sbin/{program}", "#!/bin/sh\nexit 1\n")
    else:
        nyc.sh("echo 1 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6")
    done = nyc.helper("apply", stdin=KEYS.bundle(between(NYC, AMS), "nyc").text)
    assert done.returncode == LACKING
    assert "IPv6 is switched off on this host" in done.stderr
    bundle = KEYS.bundle(IPV4_ONLY, "nyc")
    settle(nyc, bundle)
    assert settle(nyc, bundle) == ("nothing changed", "confirmed already")
    nyc.sh("wg-quick down wg0; wg-quick up wg0")
    assert len(peers(nyc)) == 1
    nyc.answer("remove")
    assert "WG0" not in rules(nyc)


def test_before_linux_6_17_ipv6_is_forwarded_and_the_learnt_default_route_kept(nyc: Host) -> None:
    # A tree as those kernels have it, without force_forwarding: plain files, since a real one cannot be hidden.
    nyc.sh(
        "mount -t tmpfs tmpfs /proc/sys/net/ipv6; cd /proc/sys/net/ipv6; for link in all default eth0 virbr0; do"
        " mkdir -p conf/$link; echo 0 >conf/$link/forwarding; echo 1 >conf/$link/accept_ra; done;"
        " echo 0 >conf/virbr0/accept_ra"
    )
    show = "cd /proc/sys/net/ipv6/conf; grep . all/forwarding */accept_ra"
    before = nyc.sh(show)
    for _ in range(2):
        settle(nyc, KEYS.bundle(between(NYC, AMS), "nyc"))
        assert nyc.sh(show).split() == [
            "all/forwarding:1", "all/accept_ra:2", "default/accept_ra:2", "eth0/accept_ra:2", "virbr0/accept_ra:0"
        ]  # fmt: skip
    nyc.answer("remove")
    assert nyc.sh(show) == before


def test_a_full_disk_or_read_only_etc_is_said_and_nothing_is_touched(nyc: Host) -> None:
    settle(nyc, KEYS.bundle(between(NYC, AMS), "nyc"))
    wider = KEYS.bundle(between(NYC, AMS, access=(("ams.lan", "nyc.virbr0", "tcp/443"),)), "nyc")
    nyc.sh("mount --bind /etc/wireguard /etc/wireguard; mount -o remount,bind,ro /etc/wireguard")
    before = traces(nyc)
    done = nyc.helper("apply", stdin=wider.text)
    assert (done.returncode, done.stdout) == (73, "")
    assert "Read-only file system" in done.stderr
    assert traces(nyc) == before
    nyc.sh("umount /etc/wireguard")
    settle(nyc, wider)


def test_remove_leaves_a_host_as_it_was_before(nyc: Host) -> None:
    nyc.sh("iptables -A FORWARD -i eth9 -j DROP; echo 1 >/proc/sys/net/ipv4/conf/virbr0/forwarding")
    before = traces(nyc)
    settle(nyc, KEYS.bundle(between(NYC, AMS), "nyc"))
    nyc.answer("apply", stdin=KEYS.bundle(between(NYC, AMS, access=()), "nyc").text)
    assert nyc.answer("remove") == "removed wg0"
    assert not nyc.exists("/usr/local/sbin/wireguard-mesh")
    nyc.install()
    assert traces(nyc) == before


def test_remove_on_a_clean_host_is_fine(blank: Host) -> None:
    before = traces(blank)
    for _ in range(2):
        assert blank.run("sh", str(HELPER), "remove", "wg0") == "nothing of ours on this host\n"
    assert traces(blank) == before


def test_remove_takes_what_a_half_made_host_has(nyc: Host) -> None:
    before = traces(nyc)
    nyc.answer("apply", stdin=KEYS.bundle(between(NYC, AMS), "nyc").text)
    nyc.sh("rm -r /etc/wireguard/wg0.d/rules /run/wireguard-mesh/wg0/rules.v4; ip link del wg0")
    nyc.answer("remove")
    nyc.install()
    assert traces(nyc) == before


def test_remove_on_a_host_whose_tools_are_gone_still_takes_the_files(nyc: Host) -> None:
    settle(nyc, KEYS.bundle(between(NYC, AMS), "nyc"))
    nyc.sh(
        "wg-quick down wg0; touch /run/gone;"
        "for tool in wg wg-quick wireguard-go iptables-restore; do"
        ' mount --bind /run/gone "$(readlink -f "$(command -v $tool)")"; done'
    )
    nyc.answer("remove")
    assert nyc.run("ls", "-A", "/etc/wireguard") == ""
