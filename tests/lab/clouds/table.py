"""Writes docs/stand-ins.md from the tables that the tests go through: `python -m tests.lab.clouds.table`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.clouds import refusals_aws, refusals_digitalocean
from tests.lab.clouds.bench import Row

DOCUMENT = Path(__file__).parents[3] / "docs" / "stand-ins.md"

INTRODUCTION = """\
# What the lab's clouds refuse

The lab has stand-ins for the provider plugins and the accounts of AWS and DigitalOcean. They are worth something only
where they say no. Each row below is something that the real ones refuse, with the words that show it and with where
that is known from; {refusals} of them, and {replacements} changes that replace a resource. Each is a test, beside a
neighbour of it that is accepted. This page is written by `python -m tests.lab.clouds.table` from the tables that the
tests go through, and a test holds it against them.

Where they differ from the real ones on purpose: nothing takes time; what is still in use is refused at once, where the
providers ask again for minutes, so that a forgotten dependency shows; and a property that the lab does nothing with is
refused, so that nothing is configured in vain. So is, in words of the lab's own, what AWS would take and the lab's
routers and filters cannot carry out: a route within a VPC, or a rule for one type of ICMP. Credentials are not looked
at, beyond that DigitalOcean wants a token.
"""


TABLES: Sequence[tuple[str, Sequence[Row[Any]], Sequence[Row[Any]]]] = (
    ("AWS", refusals_aws.REFUSALS, refusals_aws.REPLACEMENTS),
    ("DigitalOcean", refusals_digitalocean.REFUSALS, refusals_digitalocean.REPLACEMENTS),
)


def render() -> str:
    """The page."""
    refusals, replacements = (sum(len(table[index]) for table in TABLES) for index in (1, 2))
    parts = [INTRODUCTION.format(refusals=refusals, replacements=replacements)]
    for cloud, refused, replaced in TABLES:
        parts.append(_table(f"{cloud}: {len(refused)} refusals", ("tried", "refused with", "source"), refused))
        parts.append(_table(f"{cloud}: {len(replaced)} replacements", ("changed", "what happens", "source"), replaced))
    return "\n".join(parts)


def _table(title: str, columns: tuple[str, ...], rows: Sequence[Row[Any]]) -> str:
    lines = [f"## {title}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {_cell(row.tried)} | {_code(row.expected)} | {_cell(row.source)} |" for row in rows]
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text.strip()}{pad}{fence}".replace("|", "\\|")


if __name__ == "__main__":
    DOCUMENT.write_text(render())
