"""Each line of the texts is needed: a change of it changes the answer, or is refused; excuses.py says what is not."""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mesh.model import Mesh
from mesh.reachability import TextError, points, reachability
from mesh.reachability.walk import Root
from tests.mesh.meshes import meshes
from tests.mesh.reachability import excuses
from tests.mesh.reachability.mutations import (
    Mutation,
    lost_lines,
    lost_peers,
    lost_prefixes,
    moved_numbers,
    swapped_rules,
    widened_prefixes,
)
from tests.mesh.reachability.worlds import FIXED, rendered

PORTS = "|".join(
    [r"(?<=tport )\d+", r"(?<=dport )\d+", r"(?<=sport 0:)\d+"]
    + [rf"(?<=port \d{{{digits}}}:)\d+" for digits in range(2, 6)]
)
LISTENING = r"(?<=ListenPort = )\d+"
MTUS = r"(?<=MTU = )\d+|(?<= mtu )\d+"

WORLDS = pytest.mark.parametrize("world", [make() for make in FIXED.values()], ids=list(FIXED))


def unnoticed(world: Mesh, mutations: Iterable[Mutation], excused: Callable[[Mutation], bool]) -> list[str]:
    """Which of the changes leave the answer as it is, those aside that change nothing."""
    asked = points(world)
    whole = reachability(rendered(world), asked)
    kept = []
    for mutation in mutations:
        try:
            if not excused(mutation) and reachability(mutation.after, asked) == whole:
                kept.append(mutation.said)
        except TextError:
            continue
    return kept


def never(_: Mutation) -> bool:
    return False


@WORLDS
def test_the_loss_of_any_line_is_noticed(world: Mesh) -> None:
    tried = list(lost_lines(rendered(world)))
    assert sum(excuses.needs_no_line(world, each) for each in tried) < len(tried) / 8
    assert unnoticed(world, tried, lambda each: excuses.needs_no_line(world, each)) == []


@WORLDS
def test_the_loss_of_any_prefix_or_peer_is_noticed(world: Mesh) -> None:
    texts = rendered(world)
    assert len(list(lost_peers(texts))) == len(texts) * (len(texts) - 1)
    assert unnoticed(world, chain(lost_peers(texts), lost_prefixes(texts)), never) == []


@WORLDS
def test_two_rules_that_change_places_are_noticed(world: Mesh) -> None:
    tried = list(swapped_rules(rendered(world)))
    assert sum(not excuses.swaps_nothing(each) for each in tried) >= len(world.sites) * 2
    assert unnoticed(world, tried, excuses.swaps_nothing) == []


@WORLDS
def test_a_wider_prefix_is_noticed(world: Mesh) -> None:
    assert unnoticed(world, widened_prefixes(rendered(world)), excuses.widens_nothing) == []


@pytest.mark.parametrize("by", [-1, 1])
@WORLDS
def test_a_port_that_is_moved_by_one_is_noticed(world: Mesh, by: int) -> None:
    tried = moved_numbers(rendered(world), f"{PORTS}|{LISTENING}", by)
    assert unnoticed(world, tried, excuses.moves_nothing) == []


@pytest.mark.parametrize("by", [-1, 1])
@WORLDS
def test_an_mtu_that_is_another_is_noticed(world: Mesh, by: int) -> None:
    tried = moved_numbers(rendered(world), MTUS, by)
    assert unnoticed(world, tried, lambda each: excuses.has_no_such_link(world, each)) == []


@pytest.mark.parametrize("name", ["sample", "advertised"])
def test_the_guards_of_a_gateway_tell_what_trying_them_with_every_flow_does(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = FIXED[name]()
    texts = rendered(world)
    mutations = [each for each in chain(lost_lines(texts), swapped_rules(texts)) if each.field == "rules_v4"][::2]
    short = [answer(world, each) for each in mutations]
    monkeypatch.setattr(Root, "regular", lambda *_, **__: False)
    assert [answer(world, each) for each in mutations] == short


def answer(world: Mesh, mutation: Mutation) -> dict[str, dict[str, str]] | str:
    try:
        return reachability(mutation.after, points(world))
    except TextError as error:
        return str(error)


def some(world: Mesh, seed: int) -> Iterator[tuple[Mutation, Callable[[Mutation], bool]]]:
    """A few of the changes of every kind."""
    texts = rendered(world)
    kinds: list[tuple[Iterable[Mutation], Callable[[Mutation], bool]]] = [
        (lost_lines(texts), lambda each: excuses.needs_no_line(world, each)),
        (lost_peers(texts), never),
        (lost_prefixes(texts), never),
        (swapped_rules(texts), excuses.swaps_nothing),
        (widened_prefixes(texts), excuses.widens_nothing),
        (moved_numbers(texts, f"{PORTS}|{LISTENING}", 1), excuses.moves_nothing),
        (moved_numbers(texts, MTUS, -1), lambda each: excuses.has_no_such_link(world, each)),
    ]
    chosen = random.Random(seed)
    for mutations, excused in kinds:
        every = list(mutations)
        for mutation in chosen.sample(every, min(6, len(every))):
            yield mutation, excused


@settings(
    max_examples=max(20, settings().max_examples // 20),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to make such a mesh small takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(meshes(max_sites=6), st.integers(0, 1 << 30))
def test_changes_of_random_meshes_are_noticed(world: Mesh, seed: int) -> None:
    for mutation, excused in some(world, seed):
        assert unnoticed(world, [mutation], excused) == []
