"""Runs are processes of their own: one that fails ends alone, a signal reaches it once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness.options import RunOptions
from harness.studies.executor import OneAfterAnother
from harness.studies.model import Job

STAND_IN = """
import json, os, signal, sys
seed = sys.argv[sys.argv.index("--seed") + 1] if "--seed" in sys.argv else "0"
print("progress", file=sys.stderr)
if seed == "1":
    sys.exit(2)
if seed == "2":
    os.kill(os.getpid(), signal.SIGKILL)
if seed == "4":
    sys.exit(143)
print(json.dumps({"arguments": sys.argv[1:]}))
"""


def test_a_run_that_fails_does_not_keep_the_others_from_running() -> None:
    jobs = [Job("cell", RunOptions(seed=seed, max_steps=5)) for seed in range(5)]
    outcomes = list(OneAfterAnother((sys.executable, "-c", STAND_IN)).run(jobs))
    assert [outcome.job for outcome in outcomes] == jobs
    assert [outcome.status for outcome in outcomes] == [
        "finished",
        "failed",
        "failed",
        "finished",
        "interrupted",
    ]
    command = "run --backbone simmim --task pose --seed 3 --max-steps 5 --json"
    assert outcomes[3].record == {"arguments": command.split(" ")}


RUN = """
import signal, sys, time, pathlib
here = pathlib.Path(sys.argv[sys.argv.index("--output") + 1])
def save(number, frame):
    with open(here / "signals", "a") as file:
        file.write(f"{number} ")
    time.sleep(0.3)
    (here / "saved").write_text("state")
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, save)
signal.signal(signal.SIGINT, save)
(here / "begun").write_text("")
time.sleep(300)
"""

STUDY = """
import sys
from pathlib import Path
from harness.cli.errors import conclude
from harness.options import RunOptions
from harness.studies.executor import OneAfterAnother
from harness.studies.model import Job
jobs = [Job("a", RunOptions(output=Path(sys.argv[2]), seed=s)) for s in (0, 1)]
try:
    for outcome in OneAfterAnother((sys.executable, "-c", sys.argv[1])).run(jobs):
        print(outcome)
except BaseException as error:
    sys.exit(conclude(error))
"""


def test_a_signal_is_passed_on_once_and_the_run_may_save(tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        folder = tmp_path / number.name
        folder.mkdir()
        # A session of its own: what a terminal does with Ctrl-C is sent to the whole group.
        study = subprocess.Popen(
            [sys.executable, "-c", STUDY, RUN, str(folder)],
            start_new_session=True,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 120
        while not (folder / "begun").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(study.pid, number)
        study.communicate(timeout=120)
        assert study.returncode == 128 + number
        assert (folder / "saved").read_text() == "state"
        assert (folder / "signals").read_text().split() == [str(int(number))]


def test_the_record_is_what_the_run_prints() -> None:
    [outcome] = OneAfterAnother((sys.executable, "-c", STAND_IN)).run([Job("a", RunOptions())])
    assert outcome.record == json.loads(json.dumps(outcome.record))
    assert outcome.seconds > 0
