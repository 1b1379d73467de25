"""Small verbs over unshare, nsenter and ip: make a namespace that a process holds, and run things in it."""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, TypeAlias, cast

Kind: TypeAlias = Literal["internet", "router", "operator", "gateway", "host"]

# The variable that marks every process of a lab with the lab's identity and the process's role.
MARK = "WIREGUARD_MESH_LAB"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Lives as long as its starter holds the other end of its stdin, or, once told to stay, until it is killed.
_KEEPER = """
read -r pid _ </proc/self/stat && echo "$pid"
read -r word && [ "$word" = stay ] || exit 0
exec env --ignore-signal=CHLD sleep infinity </dev/null >/dev/null 2>&1
"""


class LabError(Exception):
    """The lab cannot do what it was asked to; the message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the machine, told from a later one with the same id by its start time (clock ticks since boot)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this id now. Raises ProcessLookupError where there is none."""
        started = _start_time(pid)
        if started is None:
            raise ProcessLookupError(pid)
        return cls(pid, started)

    @property
    def alive(self) -> bool:
        """True while this very process runs; a zombie does not."""
        return _start_time(self.pid) == self.started

    def kill(self, timeout: float = 10) -> None:
        """Kills it and waits until it is gone; the first process of a PID namespace takes all others in it along."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if not self.alive:
                return
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            if not select.select([descriptor], [], [], timeout)[0]:
                raise LabError(f"process {self.pid} of the lab does not end")
        finally:
            os.close(descriptor)


def _start_time(pid: int) -> int | None:
    """Field 22 of proc_pid_stat(5); None where the process is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


@dataclass(frozen=True, slots=True)
class Namespace:
    """One of the lab's machines. A process holds its namespaces; `private` ones have own mounts as well.

    Whatever goes into it raises LabError once that process has ended, whoever has its id then.
    """

    name: str
    holder: Process
    private: bool

    @property
    def pid(self) -> int:
        """The id of the process that holds its namespaces. Raises LabError where that has ended."""
        if not self.holder.alive:
            raise LabError(f"{self.name} does not run any more")
        return self.holder.pid

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside; standard streams and environment are the caller's."""
        mount = ["--mount"] if self.private else []
        return ["nsenter", f"--target={self.pid}", "--net", "--uts", "--pid", *mount, "--", *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | None = None,  # noqa: A002
        check: bool = True,
        timeout: float = 60,
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a program inside, with a plain environment, and gives its exit status and output.

        Raises LabError with what it wrote where `check` is set and it failed, or (always) where it took longer than
        `timeout` seconds; it is killed then.
        """
        bounded = ["timeout", "--kill-after=1", str(timeout), *argv]
        done = run(self.command(bounded), input=input, env={"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"})
        if done.returncode in (124, 137):
            raise LabError(f"{self.name}: {' '.join(argv)}: not done after {timeout:g} s")
        if check and done.returncode != 0:
            raise LabError(_failure(f"{self.name}: {' '.join(argv)}", done))
        return done

    def python_command(self, argv: Sequence[str], interpreter: str) -> list[str]:
        """The command line that runs a stand-alone Python program in this network, but with the machine's own files."""
        enter = ["nsenter", f"--target={self.pid}", "--net", "--uts", "--pid", "--"]
        return [*enter, interpreter, "-I", "-S", *argv]

    def python(self, argv: Sequence[str], interpreter: str, *, input: str | None = None) -> str:  # noqa: A002
        """What such a program prints. Raises LabError with what it said where it fails."""
        done = run(self.python_command(argv, interpreter), input=input, env={"PATH": PATH})
        if done.returncode != 0:
            raise LabError(_failure(f"{self.name}: {' '.join(argv)}", done))
        return done.stdout

    def ip(self, lines: Sequence[str], *options: str, check: bool = True) -> None:
        """Carries out ip(8) commands, one a line, up to the first that fails (LabError); without `check`, all of them.

        `options` are ip's own, for every line.
        """
        if not lines:
            return
        enter = ["nsenter", f"--target={self.pid}", "--net", "--"]
        program = ["ip", *options, *([] if check else ["-force"]), "-batch", "-"]
        done = run([*enter, *program], input="".join(f"{line}\n" for line in lines), env={"PATH": PATH})
        if check and done.returncode != 0:
            raise LabError(_failure(f"{self.name}: ip", done))

    def path(self, path: str) -> Path:
        """Where the machine sees an absolute path of this namespace (symbolic links with absolute targets excepted)."""
        return Path(f"/proc/{self.pid}/root") / path.lstrip("/") if self.private else Path(path)

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Writes a file inside, in place of whatever is there, a symbolic link too; directories are made as needed."""
        target = self.path(path)
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, mode)
            file.write(text)

    def end_others(self) -> int:
        """Kills every process in a private namespace but the one that holds it; gives how many there were."""
        if not self.private:
            raise ValueError(f"{self.name} shares its process ids with others")
        return end_all(lambda: _processes_beside(self.pid))


def end_all(find: Callable[[], Iterable[Process]]) -> int:
    """Kills what is found, until nothing is: one may have started another meanwhile. Gives how many there were."""
    ended = 0
    while found := [process for process in find() if process.alive]:
        for process in found:
            process.kill()
        ended += len(found)
    return ended


def _processes_beside(pid: int) -> list[Process]:
    """The other processes in the PID namespace of `pid`."""
    namespace = Path(f"/proc/{pid}/ns/pid").readlink()
    found = []
    for directory in Path("/proc").iterdir():
        try:
            if directory.name.isdigit() and (directory / "ns/pid").readlink() == namespace:
                found.append(Process.of(int(directory.name)))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            # Gone, or shielded even from root, as the first process of some containers is: none of the lab's.
            continue
    return [process for process in found if process.pid != pid]


def marked(identity: str, role: str) -> Iterator[tuple[Process, int]]:
    """The processes with a lab's mark of roles that begin with `role`, each with its parent's id."""
    mark = f"{MARK}={identity}/{role}".encode()
    for directory in Path("/proc").iterdir():
        try:
            if directory.name.isdigit() and any(
                variable.startswith(mark) for variable in (directory / "environ").read_bytes().split(b"\0")
            ):
                parent = (directory / "stat").read_text().rpartition(")")[2].split()[1]
                yield Process.of(int(directory.name)), int(parent)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue


class Keeper:
    """The process under which all others of a lab run: when it ends, every process, network and mount of the lab does.

    It ends by itself when the one that started it does, even by SIGKILL, unless it was told to `stay`.
    """

    def __init__(self, identity: str) -> None:
        """Starts it. Raises LabError where the machine does not allow new namespaces."""
        self._starter = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", _KEEPER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": PATH, MARK: f"{identity}/keeper"},
            start_new_session=True,
        )
        try:
            self.processes = (Process.of(_reported_pid(self._starter, "the lab")), Process.of(self._starter.pid))
        except BaseException:
            self.close()
            self.wait()
            raise

    def stay(self) -> None:
        """From now on it outlives the one that started it."""
        stdin = cast("IO[str]", self._starter.stdin)
        stdin.write("stay\n")
        stdin.flush()

    def close(self) -> None:
        """Lets go of it: it ends, unless it was told to stay."""
        for stream in (self._starter.stdin, self._starter.stdout, self._starter.stderr):
            if stream:
                stream.close()

    def wait(self) -> None:
        """Waits until it has ended."""
        self._starter.wait()


def launch(
    keeper: Process, directory: Path, name: str, kind: Kind, hostname: str, *, disk: Namespace | None = None
) -> Namespace:
    """Makes a machine: a process under `keeper` that holds new namespaces; gateways and the operator have own mounts.

    `directory` is the lab's; its name is the lab's identity. With `disk`, a gateway, the new one has that one's files,
    but for what no machine finds again when it boots; that one has to end. Raises LabError with what the kernel said.
    """
    private = kind in ("gateway", "operator")
    apart = ["--mount", "--pid", "--fork"] if private else []
    old = [str(disk.pid)] if disk else []
    script = str(Path(__file__).with_name("machine.sh"))
    argv = ["nsenter", f"--target={keeper.pid}", "--pid", "--", "setsid", "--fork"]
    argv += ["unshare", "--net", "--uts", *apart, "--", "sh", script, kind, hostname, str(directory), *old]
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": PATH, MARK: f"{directory.name}/{name}"},
        start_new_session=True,
    ) as starter:
        return Namespace(name, Process.of(_reported_pid(starter, name)), private)


def _reported_pid(starter: "subprocess.Popen[str]", name: str) -> int:
    """The process id that is printed as soon as everything is ready; LabError with what was said where none is."""
    line = cast("IO[str]", starter.stdout).readline()
    if not line:
        said = cast("IO[str]", starter.stderr).read().strip()
        raise LabError(f"{name}: no namespaces can be made here: {said or 'no reason given'}")
    return int(line)


def run(
    argv: Sequence[str],
    *,
    input: str | None = None,  # noqa: A002
    env: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Runs a program to its end, with its output as text; says nothing about its exit status."""
    feed: dict[str, object] = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=env, **feed)  # type: ignore[call-overload, no-any-return]


def _failure(what: str, done: "subprocess.CompletedProcess[str]") -> str:
    return f"{what}: exit status {done.returncode}: {(done.stderr or done.stdout).strip()}"
