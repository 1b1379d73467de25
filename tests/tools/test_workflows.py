"""The workflows: what may decrypt, what is taken of a pull request, and how a preview is shown."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = Path(__file__).parents[2] / ".github" / "workflows"
FILES = ("preview.yml", "up.yml")
ENGINE = "pulumi/actions@"
GH = """\
#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in *--paginate*) printf "$FOUND" ;; esac
"""


def job(file: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((WORKFLOWS / file).read_text())["jobs"][name]
    return found


def steps(file: str) -> list[tuple[str, dict[str, Any]]]:
    jobs = yaml.safe_load((WORKFLOWS / file).read_text())["jobs"]
    return [(name, step) for name, content in jobs.items() for step in content["steps"]]


def step(name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = job("preview.yml", "preview")["steps"]
    (one,) = (one for one in found if one.get("name", "").startswith(name))
    return one


@pytest.mark.parametrize(("file", "name"), [("preview.yml", "preview"), ("up.yml", "up")])
def test_an_environment_that_fails_cancels_no_other(file: str, name: str) -> None:
    assert job(file, name)["strategy"]["fail-fast"] is False


def test_environments_are_brought_up_one_after_the_other() -> None:
    assert job("up.yml", "up")["strategy"]["max-parallel"] == 1


@pytest.mark.parametrize("file", FILES)
def test_the_engine_and_every_action_have_one_version(file: str) -> None:
    uses = [step for _, step in steps(file) if "uses" in step]
    assert all(len(step["uses"].partition("@")[2]) == 40 for step in uses)
    assert [step["with"]["pulumi-version"] for step in uses if step["uses"].startswith(ENGINE)] == ["3.259.0"]


@pytest.mark.parametrize("file", FILES)
def test_no_expression_stands_in_a_script(file: str) -> None:
    assert not [step["run"] for _, step in steps(file) if "${{" in step.get("run", "")]


def test_a_forks_head_is_checked_where_there_is_no_secret_and_taken_nowhere_else() -> None:
    allowed = [name for name, step in steps("preview.yml") if "allow-unsafe-pr-checkout" in step.get("with", {})]
    assert allowed == ["check"]
    check, preview = job("preview.yml", "check"), job("preview.yml", "preview")
    assert check["permissions"] == {"contents": "read"}
    assert "environment" not in check
    assert "secrets." not in str(check)
    assert "github.event.pull_request.head.repo.full_name == github.repository" in preview["if"]


def test_only_stacks_that_the_base_has_are_previewed() -> None:
    preview = job("preview.yml", "preview")
    assert preview["strategy"]["matrix"]["stack"] == "${{ fromJSON(needs.check.outputs.stacks) }}"
    assert job("preview.yml", "check")["outputs"] == {"stacks": "${{ steps.changed.outputs.stacks }}"}


def test_secrets_are_in_the_environment_of_the_preview_alone() -> None:
    assert [step["id"] for _, step in steps("preview.yml") if "secrets." in str(step)] == ["preview"]


def test_an_environment_is_verified_after_its_up_also_where_that_failed_at_a_site() -> None:
    names = [step.get("id", step.get("name")) for step in job("up.yml", "up")["steps"]]
    assert names[-2:] == ["up", "Verify"]
    last = job("up.yml", "up")["steps"][-1]
    assert last["run"] == '.venv/bin/meshctl verify --stack "$STACK"'
    assert "!cancelled()" in last["if"]
    assert "steps.up.outcome" in last["if"]
    assert last["env"]["PULUMI_CONFIG_PASSPHRASE"] == "${{ secrets.PULUMI_CONFIG_PASSPHRASE }}"


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """The environment of a step, with stand-ins for the programs, which note how they were called."""
    for name, text in (("gh", GH), ("pulumi", '#!/bin/sh\necho "$*" >>"$CALLS"\necho shown; exit "$STATUS"\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    own = {name: str(tmp_path / name) for name in ("CALLS", "GITHUB_STEP_SUMMARY")}
    facts = {"STACK": "prod", "OUTCOME": "success", "NUMBER": "7", "HEAD_SHA": "abc", "RUN": "https://run", "FOUND": ""}
    backend = {"PULUMI_BACKEND_URL": "", "STATUS": "0", "GITHUB_REPOSITORY": "our/mesh", "RUNNER_TEMP": str(tmp_path)}
    return own | facts | backend | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def run(name: str, env: dict[str, str]) -> tuple[int, list[str]]:
    """Runs a step as the runner does; gives its status and the calls of the stand-ins."""
    # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)["run"]], env=env, check=False
    )
    return done.returncode, Path(env["CALLS"]).read_text().splitlines()


@pytest.mark.parametrize(("backend", "calls"), [("", []), ("s3://state", ["login s3://state"])])
def test_a_preview_shows_every_text_in_full(runner: dict[str, str], backend: str, calls: list[str]) -> None:
    preview = "preview --stack=prod --diff --show-full-output --non-interactive --color=never"
    assert run("Preview", runner | {"PULUMI_BACKEND_URL": backend}) == (0, [*calls, preview])
    assert Path(runner["RUNNER_TEMP"], "preview.txt").read_text() == "shown\n"


def test_a_preview_that_fails_fails_the_step(runner: dict[str, str]) -> None:
    assert run("Preview", runner | {"STATUS": "3"})[0] == 3


def test_the_first_preview_of_a_stack_makes_a_comment_and_the_next_edits_it(runner: dict[str, str]) -> None:
    comment = Path(runner["RUNNER_TEMP"], "comment.md")
    Path(runner["RUNNER_TEMP"], "preview.txt").write_text("+ a\n\n```\r@all\n")
    status, (look, write) = run("Into", runner)
    assert (status, write) == (0, f"pr comment 7 --repo our/mesh --body-file {comment}")
    assert look.startswith("api --paginate repos/our/mesh/issues/7/comments --jq ")
    text = "<!-- preview of prod -->\n### Preview of <code>prod</code> at abc: success\n\n    + a\n    \n    ```@all\n"
    assert comment.read_text() == Path(runner["GITHUB_STEP_SUMMARY"]).read_text() == text
    _, calls = run("Into", runner | {"FOUND": "11\\n12\\n"})
    edit = f"api --silent --method PATCH repos/our/mesh/issues/comments/11 --field body=@{comment}"
    assert calls[-1] == edit


def test_a_comment_is_cut_at_a_line_and_says_so_and_the_summary_has_more(runner: dict[str, str]) -> None:
    Path(runner["RUNNER_TEMP"], "preview.txt").write_text("".join(f"line {n} ünïcode\n" for n in range(10_000)))
    assert run("Into", runner)[0] == 0
    comment = Path(runner["RUNNER_TEMP"], "comment.md").read_text()
    assert 55_000 < len(comment) < 65_536
    *_, last, empty, cut = comment.splitlines()
    assert last.startswith("    line ")
    assert last.endswith("ünïcode")
    assert (empty, cut) == ("", "**The preview is longer, and cut here.** More of it is in the summary of https://run")
    summary = Path(runner["GITHUB_STEP_SUMMARY"]).read_text()
    assert summary.endswith("    line 9999 ünïcode\n")


def test_a_preview_that_never_began_is_reported_as_well(runner: dict[str, str]) -> None:
    assert run("Into", runner | {"OUTCOME": "failure"})[0] == 0
    assert "at abc: failure" in Path(runner["GITHUB_STEP_SUMMARY"]).read_text()
