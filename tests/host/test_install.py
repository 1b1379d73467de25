"""`install`: the helper puts itself in place, adds what is missing, and says who starts the interface at boot."""

import pytest

from tests.host.observe import traces
from tests.host.scratch import HELPER, Host
from tests.host.sites import AMS, NYC, Keys, between, ready, settle

# Each notes how it was called. apt-get brings what was hidden back, and fails until the lists are fetched.
NOTING = '#!/bin/sh\necho "${0##*/} $*" >>/run/calls\n'
APT = NOTING + (
    'case "$*" in *update) touch /run/lists ;; *) [ -e /run/lists ] || exit 100; umount /usr/bin/wireguard-go ;; esac\n'
)


def _program(host: Host, name: str, text: str = NOTING) -> None:
    host.run("sh", "-c", f"cat >/usr/local/bin/{name}; chmod 755 /usr/local/bin/{name}", stdin=text)


def _install(host: Host) -> str:
    return host.run("sh", str(HELPER), "install", "wg0").strip()


def test_it_puts_itself_in_place_once(blank: Host) -> None:
    said = _install(blank)
    assert said.startswith("installed: wireguard-go, since the kernel has no WireGuard; neither systemd nor OpenRC")
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
    _program(blank, "apt-get", APT)
    assert "packages" not in _install(blank)
    assert not blank.exists("/run/calls")
    # A file that nobody may execute hides the program.
    blank.sh("touch /run/hidden; mount --bind /run/hidden /usr/bin/wireguard-go")
    assert _install(blank).endswith("; packages added: wireguard-go")
    install = "apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 wireguard-go"
    assert blank.read("/run/calls").splitlines() == [
        install,
        "apt-get -o DPkg::Lock::Timeout=300 update",
        install,
    ]


def test_a_package_that_cannot_be_had_is_said(blank: Host) -> None:
    _program(blank, "apt-get", "#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n")
    blank.sh("touch /run/hidden; mount --bind /run/hidden /usr/bin/wireguard-go")
    done = blank.try_("sh", str(HELPER), "install", "wg0")
    assert (done.returncode, done.stdout) == (69, "")
    assert "cannot install wireguard-go: apt-get: E: Unable to locate package" in done.stderr


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
    words = [*shell.split(), *(["sh"] if shell == "busybox" else [])]
    blank.run(*words, "-n", str(HELPER))


def test_all_of_it_runs_on_busybox(nyc: Host) -> None:
    """As on Alpine: ash for /bin/sh, and every tool that busybox has is busybox's; `ip` alone must be iproute2's."""
    nyc.sh(
        "for tool in awk cat chmod cmp cp cut grep head mkdir mv rm rmdir sed sha256sum sleep sort sync tail touch tr"
        ' wc; do ln -s "$(command -v busybox)" /usr/local/bin/$tool; done;'
        ' mount --bind "$(command -v busybox)" "$(readlink -f /bin/sh)"'
    )
    assert "BusyBox" in nyc.try_("sh", "--help").stderr
    keys = Keys()
    first = keys.bundle(between(NYC, AMS), "nyc")
    assert settle(nyc, first)[0].endswith(": wg0 brought up")
    assert settle(nyc, first) == ("nothing changed", "confirmed already")
    second = keys.bundle(between(NYC, AMS, access=()), "nyc")
    answer, _ = settle(nyc, second)
    assert answer.split(": ")[1].startswith("rules replaced, forwarding changed, 1 peer changed, route 10.20.0.0/24")
    assert nyc.helper("apply", stdin=first.text[:-2]).returncode == 65
    spoilt = keys.edited(between(NYC, AMS), "nyc", "10.20.0.0/24", "10.20.0.0/99")
    assert nyc.helper("apply", stdin=spoilt.text).stderr.endswith(f"; went back to {second.generation[:12]}\n")
    nyc.sh("wg-quick down wg0; wg-quick up wg0")
    assert settle(nyc, second) == ("nothing changed", "confirmed already")
    assert nyc.answer("remove") == "removed wg0"
