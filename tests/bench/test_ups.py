"""What is counted of an `up`: the commands that it runs, and the connections that a floor makes as well."""

from bench import meshes
from bench.ssh import Work
from bench.ups import HERE, THERE, Up, _plain, commands_of, trivial
from mesh.config import parse

HOST, CONFIG, CONFIRM = (Work("198.18.0.1", verb, f"{verb} me") for verb in ("install", "apply", "confirm"))


def test_a_first_up_runs_every_command_in_order() -> None:
    assert commands_of({}, {"a": [HOST, CONFIG, CONFIRM]}) == [[HOST, CONFIG, CONFIRM]]


def test_a_later_one_runs_what_is_new_or_differs() -> None:
    other = Work(CONFIG.host, CONFIG.command, "apply something else")
    before = {"a": [HOST, CONFIG], "b": [HOST, CONFIG]}
    after = {"a": [HOST, other], "b": [HOST, CONFIG], "c": [HOST]}
    assert commands_of(before, after) == [[other], [HOST]]


def test_an_up_in_which_nothing_changes_runs_nothing() -> None:
    assert commands_of({"a": [HOST, CONFIG]}, {"a": [HOST, CONFIG]}) == []
    assert trivial([], 0) == []


def test_a_floor_makes_as_many_connections_to_the_same_hosts_for_nothing() -> None:
    other = Work("198.18.0.2", "install", "text")
    made = trivial([[HOST, CONFIG], [other]], 4)
    assert [work for (work,) in made] == [
        Work(host, "true") for host in ("198.18.0.1", "198.18.0.1", other.host, HOST.host)
    ]


def test_the_larger_floor_counts_and_both_are_the_engine_and_all_that_the_hosts_do() -> None:
    def up(silent: float, bare: float, same: float) -> Up:
        return Up(3, "first", 9, 20, 1000, 8.0, silent, 0, 0, 9, bare, same)

    assert [up(*floors).floor for floors in ((3, 2, 9), (1, 3, 9))] == [3, 3]
    assert up(3, 2, 9).both == 12


def test_what_a_command_gets_is_shown_nowhere() -> None:
    assert "me" not in repr(CONFIG)


def test_an_exported_secret_is_the_value_in_it() -> None:
    wrapped = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"a\\nb"'}
    assert _plain({"stdin": wrapped, "connection": {"host": "h", "privateKey": wrapped}}) == {
        "stdin": "a\nb",
        "connection": {"host": "h", "privateKey": "a\nb"},
    }


def test_between_the_sites_that_are_pinged_echoes_are_granted() -> None:
    for sites in (4, 11, 101):
        granted = [
            grant
            for grant in parse(meshes.stack(sites, "few")).access
            if f"{HERE}.lan" in map(str, grant.sources) and f"{THERE}.lan" in map(str, grant.destinations)
        ]
        assert "icmp" in {str(service) for grant in granted for service in grant.services}
