"""Every kind of ending has its exit code and its words."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

import pytest

from backbones import LoadError
from harness.cli.errors import conclude
from harness.errors import Interrupted, RunFailed, UserError
from harness.plugins import UnknownNameError
from results import ResultsError
from tasks.contract import DataError, RecipeError

USER_ERRORS = [LoadError, DataError, RecipeError, ResultsError, UnknownNameError, UserError]


@pytest.mark.parametrize("kind", USER_ERRORS)
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(
    kind: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    class OfAPlugin(kind):  # type: ignore[misc, valid-type]
        pass

    for error in (kind("expected that,\n   got this"), OfAPlugin("expected that, got this")):
        assert conclude(error) == 2
        # A LoadError shows a line break as \\n already: names out of a file may have some.
        said = "error: expected that, got this\n"
        shown = capsys.readouterr()
        assert (shown.out, shown.err.replace(",\\n", ",")) == ("", said)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), "`out`: permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "out"), "`out`: the file system is read"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a/b"), "`a/b`: a part of the path"),
        (FileExistsError(errno.EEXIST, "File exists", "a"), "`a`: a file is where a folder"),
    ],
)
def test_what_the_operating_system_refuses_is_the_user_s(
    error: OSError, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conclude(error) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_full_disk_is_recognised_behind_another_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "state.ckpt")
        except OSError:
            raise RuntimeError("file write failed")  # noqa: B904
    except RuntimeError as error:
        assert conclude(error) == 2
    assert capsys.readouterr().err.startswith("error: `state.ckpt`: the disk is full")


@pytest.mark.parametrize("error", [ValueError("ours"), FileNotFoundError(2, "No such", "x")])
def test_our_failure_has_a_traceback_and_a_log(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise error
    except Exception as caught:
        assert conclude(caught) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    log = Path(said.splitlines()[-1].rpartition("the log is ")[2])
    assert type(error).__name__ in log.read_text()
    log.unlink()


def test_the_log_of_the_failing_part_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError("ours")
    error.add_note("log: runs/pose/x/error.log")
    assert conclude(error) == 1
    assert capsys.readouterr().err.endswith("the log is runs/pose/x/error.log\n")


def test_a_class_that_only_shares_the_name_is_our_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    alien = type("DataError", (ValueError,), {"__module__": "elsewhere.errors"})
    error = alien("x")
    error.add_note("log: x")
    assert conclude(error) == 1


def test_a_run_that_cannot_go_on_says_so_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = RunFailed("the loss is not finite", 12)
    error.add_note("log: x")
    assert conclude(error) == 1
    assert capsys.readouterr().err == "failed: the loss is not finite at step 12; the log is x\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (Interrupted(signal.SIGINT), 130),
        (Interrupted(signal.SIGTERM), 143),
    ],
)
def test_signals(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(error) == code
    assert capsys.readouterr().err == "interrupted: repeat the command to continue\n"
