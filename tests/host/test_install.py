"""`install`: the helper puts itself in place, adds what is missing, and says who starts the interface at boot."""

from dataclasses import replace

import pytest

from tests.host.observe import traces
from tests.host.rulesets import chain
from tests.host.scratch import HELPER, Host
from tests.host.sites import AMS, NYC, Keys, between, ready, settle

# Each notes how it was called. apt-get brings what was hidden back, and fails until the lists are fetched.
NOTING = '#!/bin/sh\necho "${0##*/} $*" >>/run/calls\n'
APT = NOTING + (
    'case "$*" in *update) touch /run/lists ;; *) [ -e /run/lists ] || exit 100; umount /usr/bin/wireguard-go ;; esac\n'
)


def _program(host: Host, name: str, text: str = NOTING) -> None:
    host.run("sh", "-c", f"cat >/usr/local/bin/{name}; chmod 755 /usr/local/bin/{name}", stdin=text)


def _hide(host: Host, *programs: str) -> None:
    """By a file in its place that nobody may execute."""
    host.sh("touch /run/hidden")
    for program in programs:
        host.sh(f'mount --bind /run/hidden "$(readlink -f "$(command -v {program})")"')


def _install(host: Host) -> str:
    return host.run("sh", str(HELPER), "install", "wg0").strip()


def test_it_puts_itself_in_place_once(blank: Host) -> None:
    said = _install(blank)
    assert "; neither systemd nor OpenRC is here" in said
    assert blank.read("/usr/local/sbin/wireguard-mesh") == HELPER.read_text()
    stat = ("stat", "-c", "%a %i %y", "/usr/local/sbin/wireguard-mesh")
    before = blank.run(*stat)
    assert before.startswith("755 ")
    assert _install(blank) == said
    assert blank.run(*stat) == before
    blank.sh("echo '# older' >>/usr/local/sbin/wireguard-mesh")
    _install(blank)
    assert blank.read("/usr/local/sbin/wireguard-mesh") == HELPER.read_text()


def test_packages_that_are_missing_are_added_and_no_others(blank: Host) -> None:
    blank.without_kernel_wireguard()
    _program(blank, "apt-get", APT)
    assert _install(blank).startswith("installed: wireguard-go, since the kernel has no WireGuard; neither")
    assert not blank.exists("/run/calls")
    _hide(blank, "wireguard-go")
    assert _install(blank).endswith("; packages added: wireguard-go")
    assert blank.exists("/usr/local/sbin/wireguard-mesh")
    install = "apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 wireguard-go"
    assert blank.read("/run/calls").splitlines() == [
        install,
        "apt-get -o DPkg::Lock::Timeout=300 update",
        install,
    ]
    # With lists that name it, once is enough.
    blank.sh("rm /run/calls; mount --bind /run/hidden /usr/bin/wireguard-go")
    assert _install(blank).endswith("; packages added: wireguard-go")
    assert blank.read("/run/calls").splitlines() == [install]


def test_wireguard_in_the_kernel_needs_no_package_and_the_probe_leaves_nothing(blank: Host) -> None:
    blank.with_kernel_wireguard()
    _program(blank, "apt-get")
    if blank.exists("/usr/bin/wireguard-go"):
        _hide(blank, "wireguard-go")
    before = blank.sh("ip -o link | cut -d: -f2")
    assert _install(blank).startswith("installed: WireGuard in the kernel; neither")
    assert blank.sh("ip -o link | cut -d: -f2") == before
    added, deleted = blank.read("/run/ip.calls").splitlines()
    name = added.split()[3]
    assert (added, deleted) == (f"link add dev {name} type wireguard", f"link delete dev {name}")
    assert name.removeprefix("wgm").isdecimal(), "one of its own for each run"
    assert not blank.exists("/run/calls")


def test_a_probe_is_taken_away_by_an_install_that_is_ended(blank: Host) -> None:
    blank.with_kernel_wireguard()
    before = blank.sh("ip -o link | cut -d: -f2")
    ending = '/run/ip "$@"; [ "$6" != bridge ] || kill -TERM $PPID'
    blank.run("tee", "/run/intercept", stdin=blank.read("/run/intercept").replace('exec /run/ip "$@"', ending))
    assert blank.try_("sh", str(HELPER), "install", "wg0").returncode == 143
    assert "type wireguard" in blank.read("/run/ip.calls")
    assert blank.sh("ip -o link | cut -d: -f2") == before


def test_the_folder_that_it_makes_for_itself_is_open_to_everybody(blank: Host) -> None:
    blank.sh("rm -rf /usr/local/sbin")
    _install(blank)
    assert blank.run("stat", "-c", "%a", "/usr/local/sbin") == "755\n"


@pytest.mark.parametrize("starter", ["systemd", "OpenRC"])
def test_an_interface_of_the_users_own_stays_started_at_boot(blank: Host, starter: str) -> None:
    _program(blank, "systemctl")
    _program(blank, "rc-update")
    blank.sh("mkdir -p /run/systemd/system" if starter == "systemd" else
             "touch /etc/init.d/wg-quick; ln -s wg-quick /etc/init.d/wg-quick.wg0")  # fmt: skip
    blank.run("tee", "/etc/wireguard/wg0.conf", stdin="[Interface]\nListenPort = 1234\n")
    before = traces(blank)
    for verb in ("install", "remove"):
        done = blank.try_("sh", str(HELPER), verb, "wg0")
        assert done.returncode == (69 if verb == "install" else 0)
    assert not blank.exists("/run/calls")
    assert traces(blank) == before


def test_a_package_that_cannot_be_had_is_said(blank: Host) -> None:
    _program(blank, "apt-get", "#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n")
    blank.without_kernel_wireguard()
    _hide(blank, "wireguard-go")
    done = blank.try_("sh", str(HELPER), "install", "wg0")
    assert (done.returncode, done.stdout) == (69, "")
    assert "cannot install wireguard-go: apt-get: E: Unable to locate package" in done.stderr


@pytest.mark.parametrize(
    ("manager", "request_"),
    [
        ("apt-get", "apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 conntrack"),
        ("dnf", "dnf install -y conntrack-tools"),
        ("apk", "apk add conntrack-tools"),
    ],
)
def test_conntrack_is_added_where_it_can_be_had(blank: Host, manager: str, request_: str) -> None:
    _hide(blank, "conntrack", *({"apt-get"} - {manager}))
    _program(blank, manager)
    assert _install(blank).endswith("; packages added: conntrack")
    assert blank.read("/run/calls").splitlines() == [request_]


def test_where_conntrack_cannot_be_had_the_rest_is_installed_and_the_answer_says_so(blank: Host) -> None:
    blank.without_kernel_wireguard()
    _hide(blank, "conntrack", "wireguard-go")
    _program(
        blank, "apt-get", APT.replace("umount", "[ $6 != conntrack ] || { echo E: Unable >&2; exit 100; }; umount")
    )
    done = blank.try_("sh", str(HELPER), "install", "wg0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(
        "; packages added: wireguard-go; without conntrack (open flows will keep their NAT): apt-get: E: Unable \n"
    )
    assert blank.exists("/usr/local/sbin/wireguard-mesh")


def test_systemd_starts_the_interface_at_boot_until_it_is_removed(blank: Host) -> None:
    _program(blank, "systemctl")
    blank.sh("mkdir -p /run/systemd/system")
    assert _install(blank).endswith("; systemd starts wg0 at boot")
    assert blank.read("/run/calls") == "systemctl enable wg-quick@wg0.service\n"
    settle(ready(blank, "nyc"), Keys().bundle(between(NYC, AMS), "nyc"))
    blank.answer("remove")
    assert blank.read("/run/calls").splitlines()[1:] == [
        "systemctl disable wg-quick@wg0.service",
        "systemctl reset-failed wg-quick@wg0.service",
    ]


def test_openrc_starts_the_interface_at_boot_until_it_is_removed(blank: Host) -> None:
    before = traces(blank)
    _program(blank, "rc-update")
    blank.sh("touch /etc/init.d/wg-quick")
    assert _install(blank).endswith("; OpenRC starts wg0 at boot")
    assert blank.run("readlink", "/etc/init.d/wg-quick.wg0") == "wg-quick\n"
    blank.answer("remove")
    assert blank.read("/run/calls").splitlines() == [
        "rc-update add wg-quick.wg0 default",
        "rc-update del wg-quick.wg0 default",
    ]
    blank.sh("rm /etc/init.d/wg-quick /usr/local/bin/rc-update /run/calls")
    assert traces(blank) == before


@pytest.mark.parametrize("shell", ["dash", "busybox", "bash --posix"])
def test_any_posix_shell_parses_it(blank: Host, shell: str) -> None:
    if shell == "busybox":
        blank.needs("busybox")
    words = [*shell.split(), *(["sh"] if shell == "busybox" else [])]
    blank.run(*words, "-n", str(HELPER))


def test_all_of_it_runs_on_busybox(nyc: Host) -> None:
    """As on Alpine: ash for /bin/sh, and every tool that busybox has is busybox's; `ip` alone must be iproute2's."""
    nyc.needs("busybox")
    nyc.sh(
        "for tool in awk cat chmod cmp cp cut grep head mkdir mv rm rmdir sed sha256sum sleep sort stat"
        ' sync tail timeout touch tr wc; do ln -s "$(command -v busybox)" /usr/local/bin/$tool; done;'
        ' mount --bind "$(command -v busybox)" "$(readlink -f /bin/sh)"'
    )
    assert "BusyBox" in nyc.try_("sh", "--help").stderr
    keys = Keys()
    first = keys.bundle(between(NYC, AMS), "nyc")
    assert settle(nyc, first)[0].endswith(": wg0 brought up")
    assert settle(nyc, first) == ("nothing changed", "confirmed already")
    assert nyc.answer("status").endswith("\ndrift: none")
    nyc.sh("iptables -I FORWARD -j ACCEPT; ip route del 10.20.0.0/24; echo '# mine' >>/etc/wireguard/wg0.conf")
    differs = ("wg0.conf was edited", "WG0-FWD not in its place (IPv4)", "route 10.20.0.0/24 missing")
    said = [line for line in nyc.answer("status").splitlines() if line.startswith("drift: ")]
    assert [end for end, line in zip(differs, said, strict=True) if line.endswith(end)] == list(differs)
    settle(nyc, first)
    assert nyc.answer("status").endswith("\ndrift: none")
    second = keys.bundle(between(NYC, AMS, access=()), "nyc")
    answer, _ = settle(nyc, second)
    assert answer.split(": ")[1].startswith("rules replaced, forwarding changed, 1 peer changed, route 10.20.0.0/24")
    narrow = keys.bundle(between(NYC, replace(AMS, mtu=1380), access=()), "nyc")
    assert settle(nyc, narrow)[0].endswith(": route 10.99.0.2/32 changed, route fd99::2/128 changed")
    settle(nyc, second)
    nyc.needs("nft")
    nyc.run("nft", "-f", "-", stdin=chain("forward", "jump closed"))
    assert "nftables drops in chain inet filter theirs" in nyc.helper("apply", stdin=first.text).stderr
    nyc.run("nft", "delete", "table", "inet", "filter")
    assert nyc.helper("apply", stdin=first.text[:-2]).returncode == 65
    spoilt = keys.edited(between(NYC, AMS), "nyc", "10.20.0.0/24", "10.20.0.0/99")
    assert nyc.helper("apply", stdin=spoilt.text).stderr.endswith(f"; went back to {second.generation[:12]}\n")
    nyc.sh("wg-quick down wg0; wg-quick up wg0")
    assert settle(nyc, second) == ("nothing changed", "confirmed already")
    assert nyc.answer("remove") == "removed wg0"
