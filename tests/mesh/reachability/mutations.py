"""Texts with one thing changed: a line lost, two lines swapped, a prefix widened, a number moved by one."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import pairwise

from mesh.model import SiteName
from mesh.reachability import SiteTexts

TEXTS = dict[SiteName, SiteTexts]
FIELDS = ("conf", "rules_v4", "rules_v6")


@dataclass(frozen=True)
class Mutation:
    """One change of the text `field` at a site: what these lines were, and what stands there now."""

    texts: TEXTS
    site: SiteName
    field: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def said(self) -> str:
        return f"{self.site}, {self.field}: {' | '.join(self.old)} -> {' | '.join(self.new) or 'nothing'}"

    @property
    def line(self) -> str:
        """The line that was changed, or the first of them."""
        return self.old[0]

    @property
    def before(self) -> list[str]:
        """The text's lines as they were."""
        text: str = getattr(self.texts[self.site], self.field)
        return text.splitlines()

    @property
    def after(self) -> TEXTS:
        """The texts of all sites with the change."""
        return self.texts | {self.site: replace(self.texts[self.site], **{self.field: "\n".join(self.lines) + "\n"})}


def lost_lines(texts: TEXTS) -> Iterator[Mutation]:
    """Each line of every text left out, comments that a person alone reads aside."""
    for site, field, lines in each_text(texts):
        for place, line in enumerate(lines):
            if line and not line.startswith("# Written by"):
                yield changed(texts, (site, field), lines, place, (line,))


def lost_prefixes(texts: TEXTS) -> Iterator[Mutation]:
    """Each prefix of AllowedIPs left out, where there is more than one."""
    for site, field, lines in each_text(texts, "conf"):
        for place, line in enumerate(lines):
            key, _, value = line.partition(" = ")
            prefixes = value.split(", ")
            for prefix in prefixes if key == "AllowedIPs" and len(prefixes) > 1 else ():
                kept = ", ".join(each for each in prefixes if each != prefix)
                yield changed(texts, (site, field), lines, place, (line,), f"{key} = {kept}")


def lost_peers(texts: TEXTS) -> Iterator[Mutation]:
    """Each peer's section left out."""
    for site, field, lines in each_text(texts, "conf"):
        heads = [place for place, line in enumerate(lines) if line == "[Peer]"]
        for head in heads:
            end = next((place for place in range(head, len(lines)) if not lines[place]), len(lines))
            yield changed(texts, (site, field), lines, head - 1, tuple(lines[head - 1 : end]))


def swapped_rules(texts: TEXTS) -> Iterator[Mutation]:
    """Each two rules of one chain that follow each other, the other way round."""
    for site, field, lines in each_text(texts, "rules_v4", "rules_v6"):
        for place, (first, second) in enumerate(pairwise(lines)):
            if first.startswith("-A ") and second.split()[:2] == first.split()[:2]:
                yield changed(texts, (site, field), lines, place, (first, second), second, first)


def widened_prefixes(texts: TEXTS) -> Iterator[Mutation]:
    """Each prefix of every line with one bit less."""

    def wider(found: re.Match[str]) -> str | None:
        network = ip_network(found[0])
        return None if network.prefixlen == 0 else str(network.supernet())

    address = r"[0-9a-f]+[.:][0-9a-f.:]*(?:/[0-9]+)?(?=[, ]|$)"
    before = ("Address = ", "AllowedIPs = ", ", ", "replace ", " -s ", " -d ", "--to ", "--ctorigsrc ", "--ctorigdst ")
    yield from edited(texts, "|".join(f"(?<={word}){address}" for word in before), wider)


def moved_numbers(texts: TEXTS, pattern: str, by: int) -> Iterator[Mutation]:
    """Each number that matches, with something added."""
    return edited(texts, pattern, lambda found: str(int(found[0]) + by) if 0 <= int(found[0]) + by < 1 << 16 else None)


def edited(texts: TEXTS, pattern: str, edit: Callable[[re.Match[str]], str | None]) -> Iterator[Mutation]:
    """Each match with something else in its place; None leaves it as it is."""
    for site, field, lines in each_text(texts):
        for place, line in enumerate(lines):
            for found in re.finditer(pattern, line):
                other = edit(found)
                if other is not None:
                    new = line[: found.start()] + other + line[found.end() :]
                    yield changed(texts, (site, field), lines, place, (line,), new)


def each_text(texts: TEXTS, *fields: str) -> Iterator[tuple[SiteName, str, list[str]]]:
    for site, one in texts.items():
        for field in fields or FIELDS:
            yield site, field, getattr(one, field).splitlines()


def changed(
    texts: TEXTS, where: tuple[SiteName, str], lines: list[str], place: int, old: tuple[str, ...], *new: str
) -> Mutation:
    return Mutation(texts, *where, old, new, (*lines[:place], *new, *lines[place + len(old) :]))
