"""The texts of the remote commands. They hold no secret and nothing that varies: a failure prints them whole."""

from dataclasses import dataclass

HELPER = "/usr/local/sbin/wireguard-mesh"


@dataclass(frozen=True, slots=True)
class Commands:
    """One site's commands, for an interface, run by a user who is root or may become root by `sudo -n`.

    Each is bounded by `timeout`, which kills what does not end within another minute: pulumi-command has no keepalive,
    and a started command ignores cancellation.
    """

    interface: str
    user: str

    @property
    def install(self) -> str:
        """Takes the helper's text on stdin, puts it into place and installs what it needs."""
        program = f'{self._root}timeout -k 60 600 sh "$helper" install {self.interface}'
        return f'helper=$(mktemp) && trap \'rm -f "$helper"\' EXIT && cat >"$helper" && {program}'

    @property
    def apply(self) -> str:
        """Takes the bundle on stdin."""
        return f"{self._root}timeout -k 60 120 {HELPER} apply {self.interface}"

    @property
    def confirm(self) -> str:
        """Takes the generation on stdin."""
        return f"{self._root}timeout -k 60 60 {HELPER} confirm {self.interface}"

    @property
    def remove(self) -> str:
        """Takes everything of ours off the host; a host that has nothing of ours is left as it is."""
        # Root asks whether it is there: the user may not be able to look into the folder.
        program = f"test ! -x {HELPER} || exec timeout -k 60 120 {HELPER} remove {self.interface}"
        return f"{self._root}sh -c '{program}'"

    @property
    def _root(self) -> str:
        return "" if self.user == "root" else "sudo -n "
