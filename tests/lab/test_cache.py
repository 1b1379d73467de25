"""The cache folder: where it is, and that what is in it is whole or absent, whoever makes it and whatever fails."""

import os
from pathlib import Path

import pytest

from lab.cache import cache_folder, made_once


def make(folder: Path) -> None:
    (folder / "file").write_text("whole")


def whole(folder: Path) -> bool:
    return (folder / "file").read_text() == "whole"


def fail(folder: Path) -> None:
    (folder / "file").write_text("half")
    raise RuntimeError("stopped half-way")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HOME": "/home/ada"}, "/home/ada/.cache/wireguard-mesh"),
        ({"HOME": "/home/ada", "XDG_CACHE_HOME": "/big/cache"}, "/big/cache/wireguard-mesh"),
        ({"HOME": "/home/ada", "XDG_CACHE_HOME": "relative"}, "/home/ada/.cache/wireguard-mesh"),
        ({"HOME": "/home/ada", "XDG_CACHE_HOME": ""}, "/home/ada/.cache/wireguard-mesh"),
    ],
)
def test_the_cache_is_where_the_user_keeps_caches(environment: dict[str, str], expected: str) -> None:
    assert cache_folder(environment) == Path(expected)


def test_a_thing_is_made_once(tmp_path: Path) -> None:
    place = tmp_path / "thing-1" / "place"
    made_once(place, make, whole)
    made_once(place, fail, whole)
    assert whole(place)


def test_what_fails_half_way_leaves_nothing_and_can_be_made_next_time(tmp_path: Path) -> None:
    place = tmp_path / "thing-1" / "place"
    with pytest.raises(RuntimeError):
        made_once(place, fail, whole)
    assert list(place.parent.iterdir()) == []
    made_once(place, make, whole)
    assert whole(place)


def test_what_a_killed_start_left_half_made_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    place = tmp_path / "thing-1" / "place"
    (tmp_path / "thing-1" / "place.partial").mkdir(parents=True)
    (tmp_path / "thing-1" / "place.partial" / "left").touch()
    made_once(place, make, whole)
    assert [path.name for path in place.parent.rglob("*") if path.is_file()] == ["file"]


def test_what_is_no_longer_whole_is_made_again(tmp_path: Path) -> None:
    place = tmp_path / "thing-1" / "place"
    made_once(place, make, whole)
    (place / "file").write_text("damaged")
    made_once(place, make, whole)
    assert whole(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to own files of another user")
@pytest.mark.parametrize("made_before", [".", ".cache", ".cache/wireguard-mesh/thing-1"])
def test_what_root_makes_in_the_home_of_a_user_belongs_to_the_user(tmp_path: Path, made_before: str) -> None:
    home = tmp_path / "home"
    (home / made_before).mkdir(parents=True)
    for folder in (home, *home.rglob("*")):
        os.chown(folder, 4711, 4712)
    made_once(home / ".cache" / "wireguard-mesh" / "thing-1" / "place", make, whole)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in home.rglob("*")} == {(4711, 4712)}
    # And nothing else is given away: the folder around it stays root's.
    assert tmp_path.stat().st_uid == 0
