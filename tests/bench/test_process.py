"""A measured process: its figures are its own, and one that fails or hangs is told with its last words."""

import sys
from pathlib import Path

import pytest

from bench import process
from bench.process import RunError, run


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


# In a process that needs little itself: whoever runs these tests may need more than what is measured.
TWO = """
import sys
from pathlib import Path
from bench.process import run
for program in ("print(len(bytearray(b'x') * 200_000_000))", "print('done')"):
    done = run([sys.executable, "-c", program], directory=Path(sys.argv[1]))
    print(done.peak_bytes, done.output, end="")
"""


def test_the_peak_is_that_of_the_process_and_not_of_one_before_it(tmp_path: Path) -> None:
    told = run([sys.executable, "-c", TWO, tmp_path], directory=Path(process.__file__).parents[1]).output.splitlines()
    (large, length), (small, done) = (line.split() for line in told)
    assert (length, done) == ("200000000", "done")
    assert int(large) > 200_000_000
    assert int(small) < int(large)


def test_it_runs_in_its_folder(tmp_path: Path) -> None:
    assert run(python("import os; print(os.getcwd())"), directory=tmp_path).output == f"{tmp_path.resolve()}\n"


def test_processor_time_counts_only_while_it_computes(tmp_path: Path) -> None:
    ticks: list[float] = []
    waited = run(python("import time; time.sleep(1.2)"), directory=tmp_path, on_tick=ticks.append)
    assert waited.seconds >= 1.2
    assert waited.processor_seconds < waited.seconds
    assert ticks
    assert ticks == sorted(ticks)


def test_a_failure_is_told_with_its_status_and_last_words(tmp_path: Path) -> None:
    program = "import os; os.write(1, b'out\\n'); os.write(2, b'no such thing\\n'); os._exit(3)"
    with pytest.raises(RunError, match=r"ended with status 3:\nout\nno such thing$"):
        run(python(program), directory=tmp_path)


def test_one_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LONGEST", 0.2)
    with pytest.raises(RunError, match=r"was not done after 0\.2 s"):
        run(python("import time; time.sleep(600)"), directory=tmp_path)
