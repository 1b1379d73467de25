"""The texts of the remote commands. They hold no secret and nothing that varies: a failure prints them whole."""

import shlex
from dataclasses import dataclass

HELPER = "/usr/local/sbin/wireguard-mesh"

# What `apply` answers where keys of the host are to change: `confirm` changes them, when all others are ready for it.
AT_CONFIRM = "with the confirm"

# Found out on the host: the texts are the same whoever logs in, so that another user changes only the connection.
_AS_ROOT = 'as_root=; test "$(id -u)" = 0 || as_root="sudo -n"; $as_root'


@dataclass(frozen=True, slots=True)
class Commands:
    """One site's commands, for an interface, run by root or by a user who may become root by `sudo -n`.

    Each is bounded by `timeout`, which kills what does not end within another minute and a half: pulumi-command has no
    keepalive, and a started command ignores cancellation. A host goes back after `within` seconds without a `confirm`.
    With `adopt` an interface that was set up by hand is no reason to refuse the host.
    """

    interface: str
    site: str
    within: int = 120
    adopt: bool = False

    @property
    def install(self) -> str:
        """Takes a line of no consequence, and the packed helper; puts it in place and installs what it needs."""
        program = f'{_AS_ROOT} timeout -k 90 600 sh "$helper" install {self.interface}{" adopt" * self.adopt}'
        unpacked = 'timeout -k 90 120 tail -n +2 | base64 -d | gzip -dc >"$helper"'
        return f"helper=$(mktemp) && trap 'rm -f \"$helper\"' EXIT && {unpacked} && {{ {program}; }}"

    @property
    def apply(self) -> str:
        """Takes the bundle on stdin."""
        return f"{_AS_ROOT} timeout -k 90 120 {HELPER} apply {self.interface} {self.within}"

    @property
    def confirm(self) -> str:
        """Takes the generation on stdin."""
        return f"{_AS_ROOT} timeout -k 90 60 {HELPER} confirm {self.interface} {self.within}"

    @property
    def status(self) -> str:
        """Says how the host is; changes nothing. It waits half a minute for another run to end."""
        return f"{_AS_ROOT} timeout -k 10 60 {HELPER} status {self.interface}"

    @property
    def remove(self) -> str:
        """Takes everything of ours off the host, if it is still this site's.

        A site that was renamed is there under its new name by the time that the old one is removed. What an engine
        that was killed has left at work may have removed everything before this one begins, the helper with it. The
        stdin of the command, which is that of its create, is read even so: a command that ends before all of it was
        sent fails (golang.org/x/crypto, ssh/session.go).
        """
        # Root asks whether it is there: the user may not be able to look into the folder.
        program = f"timeout -k 90 120 {HELPER} remove {self.interface} {self.site}"
        gone = f"{{ status=$?; test ! -e {HELPER} || exit $status; }}"
        return f"{_AS_ROOT} sh -c 'timeout -k 90 120 cat >/dev/null; test ! -x {HELPER} || {program} || {gone}'"

    def script(self, text: str, seconds: int, within: int) -> str:
        """Runs a script of ours with the interface and `within` as its arguments, for `seconds` at most."""
        return f"{_AS_ROOT} timeout -k 10 {seconds} sh -c {shlex.quote(text)} sh {self.interface} {within}"
