"""No key in anything that the helper says, traces, or hands over as an argument; and nothing that keeps ssh waiting."""

import re
from concurrent.futures import ThreadPoolExecutor

from mesh.bundle import Bundle
from tests.host.scratch import HELPER, Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, sealed, settle

FOLDERS = ("/etc", "/run", "/usr/local/sbin", "/var/lib")
WATCH = """
touch /run/watching
until [ -e /run/stop ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || :; done
"""


def _secrets(bundle: Bundle) -> list[str]:
    """Every key in the bundle that nobody else may know."""
    found = re.findall(r"^(?:PrivateKey|PresharedKey) = (\S+)$", bundle.text, re.MULTILINE)
    assert len(found) == bundle.text.count("[Peer]") + 1
    return found


def test_no_key_is_said_even_in_a_trace_of_every_verb_and_fault(nyc: Host) -> None:
    nyc.sh("rm /usr/local/sbin/wireguard-mesh")
    traced = HELPER.read_text().replace("\nset -eu\n", "\nset -eux\n")
    assert "set -eux" in traced
    nyc.run("sh", "-c", "cat >/usr/local/sbin/wireguard-mesh; chmod 755 /usr/local/sbin/wireguard-mesh", stdin=traced)
    keys, other = Keys(), Keys()
    said, secrets = "", []
    for each in (keys, other):
        for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)):
            bundle = each.bundle(mesh, "nyc")
            secrets += _secrets(bundle)
            faults = (
                sealed(bundle.text.replace("PublicKey = ", "PublicKey = x", 1)).text,
                sealed(bundle.text.replace("PrivateKey = ", "PrivateKey = x", 1)).text,
                sealed(bundle.text.replace("AllowedIPs = ", "AllowedIPs = nonsense, ", 1)).text,
                bundle.text[:-3],
            )
            for verb, stdin in (
                ("apply", bundle.text), ("confirm", bundle.generation), ("apply", bundle.text), ("status", ""),
                *(("apply", fault) for fault in faults), ("rollback", ""),
            ):  # fmt: skip
                done = nyc.helper(verb, stdin=stdin)
                said += done.stdout + done.stderr
    done = nyc.helper("remove")
    said += done.stdout + done.stderr
    assert said.count("+ begin") > 20, "it was traced"
    for secret in secrets:
        assert secret not in said
        assert secret.rstrip("=") not in said


def test_a_key_in_what_a_program_says_is_masked(nyc: Host) -> None:
    keys = Keys()
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    # A wg that shows the file that it refuses: wg set wg0 peer KEY preshared-key FILE.
    refusing = '[ "$1" != set ] || { echo "PublicKey = $4 PresharedKey = $(cat "$6")" >&2; exit 1; }'
    nyc.run(
        "sh",
        "-c",
        "cat >/usr/local/bin/wg; chmod 755 /usr/local/bin/wg",
        stdin=f'#!/bin/sh\n{refusing}\nexec /usr/bin/wg "$@"\n',
    )
    bundle = keys.bundle(between(NYC, SFO, access=()), "nyc")
    done = nyc.helper("apply", stdin=bundle.text)
    assert "PublicKey = <key> PresharedKey = <key>" in done.stderr
    for secret in _secrets(bundle):
        assert secret not in done.stderr


def test_no_key_is_an_argument_or_in_the_environment_of_any_process(nyc: Host) -> None:
    keys = Keys()
    first, second = (keys.bundle(mesh, "nyc") for mesh in (between(NYC, AMS), between(NYC, AMS, SFO)))
    rekeyed = Keys().bundle(between(NYC, AMS), "nyc")
    with ThreadPoolExecutor() as pool:
        watch = pool.submit(nyc.sh, WATCH)
        nyc.sh("until [ -e /run/watching ]; do :; done")
        for bundle in (first, second, rekeyed, second):
            settle(nyc, bundle)
        nyc.run("touch", "/run/stop")
        seen = watch.result(timeout=60)
    assert "wireguard-mesh\0apply" in seen
    assert "wg-quick\0up" in seen, "the watch sees what the helper starts"
    for secret in {key for bundle in (first, second, rekeyed) for key in _secrets(bundle)}:
        assert secret not in seen


def test_keys_are_only_in_files_that_root_alone_can_read_and_not_in_run(nyc: Host) -> None:
    bundle = Keys().bundle(between(NYC, AMS), "nyc")
    nyc.run("chmod", "777", "/etc/wireguard")
    for verb, holder in (("apply", "wg0.d/staged/wg0.conf"), ("confirm", "wg0.conf")):
        nyc.answer(verb, stdin=bundle.text if verb == "apply" else bundle.generation)
        found = nyc.run("grep", "-rlF", "-f", "-", *FOLDERS, stdin="\n".join(_secrets(bundle)))
        assert found == f"/etc/wireguard/{holder}\n"
        assert nyc.run("stat", "-c", "%a %U", found.strip()) == "600 root\n"


def test_what_stays_running_keeps_no_stream_and_no_lock(nyc: Host) -> None:
    nyc.without_kernel_wireguard()
    # ssh returns when all who hold its stdout have closed it, as does this call, which reads to the end.
    nyc.answer("apply", stdin=Keys().bundle(between(NYC, AMS), "nyc").text)
    nyc.sh("flock -n /run/wireguard-mesh/wg0.lock true")
    descriptors = nyc.sh(
        "cd /proc/$(pgrep -x wireguard-go)/fd; for each in 0 1 2 3 4 5 6 7 8 9; do readlink $each || :; done"
    )
    assert descriptors.splitlines()[:3] == ["/dev/null"] * 3
    assert "wireguard-mesh" not in descriptors
