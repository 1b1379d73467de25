"""A machine's first boot: it does what its user data says, strictly, or stays silent, and the reason is told."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.clouds.boot import read
from lab.clouds.model import CloudMachine
from lab.namespaces import LabError, Namespace, Process
from mesh import cloudinit, sshkeys
from tests.lab.clouds.stage import EIP, GATEWAY, OUTSIDE, Stage, ask, aws, instance, rule, stage

HOST_KEY = sshkeys.generate()
OPERATOR_KEY = sshkeys.generate()
OPERATOR = sshkeys.public_key(OPERATOR_KEY)
TEXT = cloudinit.user_data(HOST_KEY, OPERATOR)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def test_what_the_program_writes_is_understood() -> None:
    first = read(TEXT)
    assert first.host_key is not None
    assert sshkeys.public_key(first.host_key) == sshkeys.public_key(HOST_KEY)
    assert (first.authorized, first.root) == ((OPERATOR,), False)
    assert read(cloudinit.user_data(HOST_KEY, OPERATOR, root=True)).root


def test_without_keys_a_machine_makes_a_host_key_itself_and_lets_nobody_in() -> None:
    first = read("#cloud-config\nssh_pwauth: false\n")
    assert (first.host_key, first.authorized, first.root) == (None, (), False)


def test_root_may_log_in_only_where_it_is_said() -> None:
    assert read(TEXT).keys_of("admin")[0].endswith(f'the user \\"root\\".\';echo;sleep 10;exit 142" {OPERATOR}')
    assert read(TEXT.replace("disable_root: true", "disable_root: false")).keys_of("admin") == [OPERATOR]
    assert read(TEXT).keys_of("root") == [OPERATOR]


def test_a_key_from_the_cloud_itself_is_let_in_unless_the_user_data_says_no() -> None:
    theirs = sshkeys.public_key(sshkeys.generate())
    assert read(TEXT, [theirs]).authorized == (OPERATOR,)
    forgotten = TEXT.replace("allow_public_ssh_keys: false\n", "")
    assert forgotten != TEXT
    assert read(forgotten, [theirs, OPERATOR]).authorized == (theirs, OPERATOR)
    assert read("#cloud-config\n{}\n", [theirs]).authorized == (theirs,)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ssh_pwauth: false\n", "first line is not #cloud-config"),
        ("#cloud-config\na: [\n", r"no YAML \(line 3\)"),
        ("#cloud-config\n- a\n", "not a mapping"),
        (f"{TEXT}packages: [wireguard]\n", "do not know packages"),
        (f"{TEXT}runcmd: [id]\n", "do not know runcmd"),
        (TEXT.replace("ssh_pwauth: false", "ssh_pwauth: 'no'"), "ssh_pwauth is no bool"),
        (TEXT.replace(f"- {OPERATOR}", "- [1]"), "ssh_authorized_keys is no list of strings"),
        (TEXT.replace("ed25519_private", "rsa_private"), "ssh_keys has rsa_private"),
        (TEXT.replace("PRIVATE KEY", "PUBLIC KEY"), "ssh_keys.ed25519_private"),
        (TEXT.replace(sshkeys.public_key(HOST_KEY), OPERATOR), "ed25519_public is not the private key's"),
    ],
)
def test_what_the_lab_does_not_do_is_refused_and_no_key_is_shown(text: str, reason: str) -> None:
    with pytest.raises(LabError, match=reason) as refused:
        read(text)
    assert HOST_KEY.splitlines()[2] not in str(refused.value)
    assert HOST_KEY.splitlines()[2] not in repr(read(TEXT))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("boot")) as begun:
        yield begun


def gateway(identity: str, text: str) -> CloudMachine:
    """A machine of that user data that SSH may reach from outside."""
    return replace(instance(ingress=(rule("tcp", 22, f"{OUTSIDE}/32"),)), id=identity, user_data=text)


def ssh(outside: Namespace, folder: Path, user: str, *, host_key: str = HOST_KEY, key: str = OPERATOR_KEY) -> str:
    """What `id -un; sudo -n id -u` says there, or why nobody got in."""
    (folder / "known").write_text(f"{EIP} {sshkeys.public_key(host_key)}\n")
    (folder / "key").touch(mode=0o600)
    (folder / "key").write_text(key)
    options = ["-F", "/dev/null", "-i", str(folder / "key"), "-o", f"UserKnownHostsFile={folder / 'known'}"]
    options += ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=2"]
    argv = ["nsenter", f"--target={outside.pid}", "--net", "ssh", *options, f"{user}@{EIP}", "id -un; sudo -n id -u"]
    said = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            said.append(line)
            if "Please login as" in line:
                # The other side waits for ten seconds before it hangs up, as cloud-init has it.
                process.terminate()
    return " ".join("".join(said).split())


@pytest.mark.lab
@needs_root
def test_the_pinned_key_and_the_images_user_open_a_new_machine_and_nothing_else_does(
    lab: Stage, tmp_path: Path
) -> None:
    lab.show(aws(gateway("i-1", TEXT)))
    assert ssh(lab.outside, tmp_path, "admin") == "admin 0"
    assert 'Please login as the user "admin"' in ssh(lab.outside, tmp_path, "root")
    assert "Host key verification failed" in ssh(lab.outside, tmp_path, "admin", host_key=OPERATOR_KEY)
    assert "Permission denied" in ssh(lab.outside, tmp_path, "admin", key=sshkeys.generate())
    assert "Permission denied" in ssh(lab.outside, tmp_path, "ubuntu")
    lab.show(aws(gateway("i-2", TEXT.replace("disable_root: true", "disable_root: false"))))
    assert ssh(lab.outside, tmp_path, "root") == "root 0"


@pytest.mark.lab
@needs_root
def test_a_registered_key_opens_a_machine_where_the_user_data_forgets_to_keep_it_out(
    lab: Stage, tmp_path: Path
) -> None:
    text = TEXT.replace("disable_root: true", "disable_root: false")
    forgotten = text.replace("allow_public_ssh_keys: false\n", "")
    theirs = sshkeys.generate()
    handed = (sshkeys.public_key(theirs),)
    lab.show(aws(replace(gateway("i-8", text), users=("root",), keys=handed)))
    assert ssh(lab.outside, tmp_path, "root") == "root 0"
    assert "Permission denied" in ssh(lab.outside, tmp_path, "root", key=theirs)
    lab.show(aws(replace(gateway("i-9", forgotten), users=("root",), keys=handed)))
    assert ssh(lab.outside, tmp_path, "root", key=theirs) == "root 0"


@pytest.mark.lab
@needs_root
def test_a_machine_that_still_boots_is_silent_and_then_answers(lab: Stage, tmp_path: Path) -> None:
    lab.show()
    lab.fabric.apply([aws(gateway("i-3", TEXT))])
    assert ask(lab.outside, EIP, 22) in ("OSError", "TimeoutError", "ConnectionRefusedError")
    lab.fabric.settle()
    assert ssh(lab.outside, tmp_path, "admin") == "admin 0"


@pytest.mark.lab
@needs_root
def test_a_machine_with_bad_user_data_does_not_answer_and_the_reason_is_told(lab: Stage) -> None:
    lab.show()
    lab.fabric.apply([aws(gateway("i-4", f"{TEXT}packages: [wireguard]\n"))])
    lab.fabric.settle()
    assert lab.told == ["use1 (i-4) does not boot: user data: the lab's machines do not know packages"]
    lab.told.clear()
    assert ask(lab.outside, EIP, 22) == "ConnectionRefusedError"
    lab.show(aws(gateway("i-4", TEXT)))  # it is the same machine, and does not boot again
    assert ask(lab.outside, EIP, 22) == "ConnectionRefusedError"


@pytest.mark.lab
@needs_root
def test_a_machine_that_ends_while_it_boots_leaves_nothing_and_is_no_failure(lab: Stage) -> None:
    lab.show()
    lab.fabric.apply([aws(gateway("i-5", TEXT))])
    lab.fabric.apply([aws()])
    lab.fabric.settle()
    assert not lab.told
    with pytest.raises(LabError, match="use1 has no gateway in its cloud now"):
        lab.fabric.gateway("use1")


@pytest.mark.lab
@needs_root
def test_a_later_process_finds_everything_and_boots_anew_what_was_cut_short(lab: Stage, tmp_path: Path) -> None:
    declared = aws(gateway("i-6", TEXT))
    lab.show(declared)
    before = lab.fabric.gateway("use1")
    again = lab.another()
    again.resume([declared])
    again.settle()
    assert again.gateway("use1") == before
    assert ssh(lab.outside, tmp_path, "admin") == "admin 0"

    file = lab.directory / "fabric.json"
    file.write_text(file.read_text().replace('"booted": true', '"booted": false'))
    third = lab.another()
    third.resume([declared])
    third.settle()
    assert third.gateway("use1").holder != before.holder
    assert ssh(lab.outside, tmp_path, "admin") == "admin 0"
    third.apply([])
    lab.fabric = lab.another()
    lab.show()


@pytest.mark.lab
@needs_root
def test_with_its_vpc_all_of_a_router_is_gone(lab: Stage) -> None:
    lab.show(aws(gateway("i-7", TEXT)))
    router = lab.fabric.router("vpc-1")
    assert "cloud" in lab.internet.run(["ip", "-o", "link"]).stdout
    assert EIP in lab.internet.run(["ip", "route"]).stdout
    lab.show()
    assert "cloud" not in lab.internet.run(["ip", "-o", "link"]).stdout
    assert EIP not in lab.internet.run(["ip", "route"]).stdout
    assert "ens5" not in lab.host("use1").run(["ip", "-o", "link"]).stdout
    with pytest.raises(ProcessLookupError):
        Process.of(router.holder.pid)
    assert GATEWAY not in (lab.directory / "fabric.json").read_text()
