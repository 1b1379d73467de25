"""The hosts of a stack, as its last `up` left them in the state, and commands run on all of them at once."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from cli.ssh import Agent, Answer, UnreachedError, connected, printable, run
from mesh.model import Secret, Ssh

__all__ = ["Answer", "Fleet", "FleetError", "HostRef", "known", "run_all"]

_ENGINE_SECONDS = 180.0
AT_ONCE = 64
_LATE_SECONDS = 3.0
# How pulumi marks a secret in its state: sdk/go/common/resource/plugin/rpc.go and properties.go.
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
_SITE = "wireguard-mesh:index:Endpoint"
_COMMAND = f"{_SITE}$command:remote:Command"
NOT_SET_UP = "not set up yet: the last 'pulumi up' did not come that far; run it again"
_IN_PART = "not set up, or not taken away, to the end: the last run of 'pulumi' stopped there; run it again"


class FleetError(Exception):
    """The state cannot be had; the text says why and the way out, and holds no secret."""


@dataclass(frozen=True, slots=True)
class HostRef:
    """A site's host as the state has it: how it is reached, and the generation that the last `up` confirmed there.

    `generation` is None where none was. `rules` is the id of the rules in the bundle that was applied last. A `paused`
    host is left alone by every `up`; one that was paused from the first has no `interface` yet.
    """

    site: str
    interface: str
    connection: Ssh
    generation: str | None
    paused: bool
    rules: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """A stack's sites, in the order of their names: the `hosts` that have been given something to run.

    `unfinished` are the others that the state knows, each with the reason in words: a run failed before that. `begun`
    is whether there is anything in the state at all.
    """

    hosts: tuple[HostRef, ...]
    unfinished: Mapping[str, str]
    begun: bool

    def lacking(self, declared: Iterable[str]) -> dict[str, str]:
        """The sites without a host to ask, and why, those that only the stack file has among them."""
        there = {host.site for host in self.hosts}
        never = {site: NOT_SET_UP for site in declared if site not in there} if self.begun else {}
        return {**never, **self.unfinished}


def known(stack: str, directory: Path) -> Fleet:
    """The sites of a stack, by the engine in the project's directory.

    Nothing is written, and nothing dialled. Raises FleetError.
    """
    return read_state(_export(stack, directory))


def _export(stack: str, directory: Path) -> str:
    command = ["pulumi", "stack", "export", "--show-secrets", "--non-interactive", "--stack", stack]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ENGINE_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise FleetError("pulumi, which reads the stack's state, is not on PATH; install it") from None
    except OSError as error:
        raise FleetError(f"pulumi, which reads the stack's state, cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise FleetError(
            f"pulumi did not read the stack's state within {_ENGINE_SECONDS:.0f} s; is its backend reachable?"
        ) from None
    if done.returncode:
        raise FleetError(_refusal(stack, done.stderr, done.returncode))
    return done.stdout


def _refusal(stack: str, stderr: str, status: int) -> str:
    """The engine's own words, and the way out where we know one."""
    said = [line.strip() for line in printable(stderr).splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    text = "; ".join(errors or said[-1:]) or f"exit status {status}"
    ways = {
        "no stack named": f"name another by --stack, or make it by 'pulumi stack init {stack}' and 'pulumi up'",
        "incorrect passphrase": "PULUMI_CONFIG_PASSPHRASE has to be the one that the stack was made with",
        "passphrase must be set": "that is the one that the stack was made with",
        "PULUMI_ACCESS_TOKEN": "or log in by 'pulumi login' to where the stack's state is",
    }
    way = next((f" ({way})" for sign, way in ways.items() if sign in text), "")
    return f"pulumi cannot read the state of '{stack}': {text}{way}"


def read_state(exported: str) -> Fleet:
    """The sites in what `pulumi stack export --show-secrets` says. Raises FleetError."""
    try:
        resources = json.loads(exported)["deployment"].get("resources") or []
        commands = {name: resource for name, resource in _of_kind(_COMMAND, resources) if not resource.get("delete")}
        given = sorted(name.removesuffix("-config") for name in commands if name.endswith("-config"))
        others = sorted({name for name, _ in _of_kind(_SITE, resources)} - set(given))
        return Fleet(
            hosts=tuple(_host(site, commands) for site in given),
            unfinished={site: _IN_PART if f"{site}-host" in commands else NOT_SET_UP for site in others},
            begun=bool(resources),
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise FleetError("the stack's state is not as this version writes it; run 'pulumi up' with it first") from None


def _of_kind(kind: str, resources: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The resources whose type, those of their parents before it, ends so; with their names."""
    for resource in resources:
        words = resource["urn"].split("::")
        if len(words) > 3 and words[2].endswith(kind):
            yield words[-1], resource


def _host(site: str, commands: Mapping[str, Mapping[str, Any]]) -> HostRef:
    config, confirm = commands[f"{site}-config"], commands.get(f"{site}-confirm")
    inputs, told = _plain(config["inputs"]), _plain((confirm or {"inputs": {}})["inputs"])
    # How the engine notes that it is not to delete what a resource stands for.
    paused = bool(config.get("retainOnDelete"))
    if paused and "stdin" not in inputs:
        return HostRef(site, "", _ssh(inputs["connection"]), None, paused=True, rules="")
    heads = (line[1:].split() for line in inputs["stdin"].splitlines() if line.startswith("@"))
    sections = {head[0]: head[1] for head in heads if len(head) > 1}
    return HostRef(
        site=site,
        interface=sections["interface"],
        connection=_ssh(inputs["connection"]),
        generation=told["stdin"].split()[0] if "stdin" in told else None,
        paused=paused,
        rules=sections["rules"],
    )


def _ssh(end: Mapping[str, Any]) -> Ssh:
    key = end.get("privateKey")
    return Ssh(
        host=end["host"],
        port=int(end.get("port") or 22),
        user=end.get("user") or "root",
        host_key=end["hostKey"],
        private_key=None if key is None else Secret(key),
        proxy=_ssh(end["proxy"]) if end.get("proxy") else None,
    )


def _plain(value: Any) -> Any:
    """A value of the state with its secrets opened."""
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return _plain(json.loads(value["plaintext"]))
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


async def run_all(
    hosts: Sequence[HostRef],
    command: Callable[[HostRef], str],
    stdin: Mapping[str, str] | None = None,
    *,
    seconds: float = 90.0,
    done: Callable[[str], None] = lambda _: None,
    decides: Callable[[Answer | str], bool] = lambda _: False,
) -> dict[str, Answer | str]:
    """Runs a command on every host, at most 64 at once: by site its answer, or in words why there is none.

    `stdin` is each command's, by site. A command has `seconds`. `done` hears of each site whose answer is there.
    After one that `decides`, the others have three seconds more; those that are late are left out, and `done` hears
    nothing of them. One connection for each host, and one for each bastion.
    """
    places = asyncio.Semaphore(AT_ONCE)
    async with contextlib.AsyncExitStack() as opened:
        agent = Agent()
        opened.callback(agent.close)
        bastions = _Bastions(agent, opened)

        async def ask(host: HostRef) -> Answer | str:
            async with places:
                try:
                    bastion = await bastions.to(host.connection.proxy)
                    async with connected(host.connection, agent, bastion) as connection:
                        text = (stdin or {}).get(host.site, "")
                        answer: Answer | str = await run(connection, command(host), text, seconds)
                except UnreachedError as error:
                    answer = str(error)
            done(host.site)
            return answer

        asking = {host.site: asyncio.ensure_future(ask(host)) for host in hosts}
        left = set(asking.values())
        while left:
            over, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            if left and any(decides(one.result()) for one in over):
                _, left = await asyncio.wait(left, timeout=_LATE_SECONDS)
                for late in left:
                    late.cancel()
                await asyncio.gather(*left, return_exceptions=True)
                break
    return {site: one.result() for site, one in asking.items() if not one.cancelled()}


class _Bastions:
    """The connections to bastions, each opened once for all the hosts behind it."""

    def __init__(self, agent: Agent, opened: contextlib.AsyncExitStack) -> None:
        self._agent, self._opened = agent, opened
        self._all: dict[tuple[str, int, str, str], asyncio.Future[asyncssh.SSHClientConnection]] = {}

    async def to(self, proxy: Ssh | None) -> asyncssh.SSHClientConnection | None:
        """The connection to a host's bastion, None where it has none. Raises UnreachedError."""
        if proxy is None:
            return None
        name = proxy.host, proxy.port, proxy.user, proxy.host_key
        if name not in self._all:
            opening = self._opened.enter_async_context(connected(proxy, self._agent))
            self._all[name] = asyncio.ensure_future(opening)
        try:
            return await asyncio.shield(self._all[name])
        except UnreachedError as error:
            raise UnreachedError(f"by its bastion: {error}") from None
