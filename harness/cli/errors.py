"""The one place that decides what an error means to the shell: exit code and words.

0 done; 2 the user's input, one line; 1 our failure, with traceback and log; 130 Ctrl-C;
143 SIGTERM. Nothing heavy is imported: errors are recognised by name.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from harness.errors import Interrupted, RunFailed, full_disk

DONE, FAILURE, USER, CTRL_C = 0, 1, 2, 130

USER_ERRORS = {
    ("backbones", "LoadError"),
    ("tasks", "DataError"),
    ("tasks", "RecipeError"),
    ("tasks", "DependencyError"),
    ("results", "ResultsError"),
    ("harness", "UnknownNameError"),
    ("harness", "UserError"),
}
"""Package and class of every exception that stands for something the user can mend."""

ADVICE = {
    errno.ENOSPC: "the disk is full; free some space, then repeat the command: it continues",
    errno.EDQUOT: "the disk quota is used up; free some space, then repeat the command",
    errno.EACCES: "permission denied; choose another place (`--output`) or change its permissions",
    errno.EPERM: "not permitted; choose another place (`--output`) or change its permissions",
    errno.EROFS: "the file system is read-only; choose another place (`--output`)",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place",
    errno.EEXIST: "a file is where a folder is needed; choose another place",
    errno.EISDIR: "a folder is where a file is needed; give the path of a file",
    errno.ENAMETOOLONG: "the path is too long; choose another place (`--output`)",
}
"""What the user can do about an error of the operating system."""


def user_message(error: BaseException) -> str | None:
    """The one line to print where the user can mend the error, else None."""
    for kind in type(error).__mro__:
        if (kind.__module__.partition(".")[0], kind.__name__) in USER_ERRORS:
            return one_line(str(error))
    full = full_disk(error)
    if full is not None:
        return _advice(full)
    if isinstance(error, OSError) and error.errno in ADVICE:
        return _advice(error)
    return None


def usage_message(error: BaseException) -> str | None:
    """The one line for arguments that cannot be parsed, else None."""
    words = getattr(error, "format_message", None)
    if getattr(error, "exit_code", None) != USER or words is None:
        return None
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", "harness")
    said = one_line(str(words())).replace("Value error, ", "").rstrip(".")
    return f"{said}; `{command} --help` lists what there is"


def conclude(error: BaseException) -> int:
    """Say on stderr what happened; return the exit code."""
    message = usage_message(error) or user_message(error)
    if message is not None:
        print(f"error: {message}", file=sys.stderr)
        return USER
    if isinstance(error, KeyboardInterrupt | Interrupted):
        print("interrupted: repeat the command to continue", file=sys.stderr)
        return error.exit_code if isinstance(error, Interrupted) else CTRL_C
    if isinstance(error, RunFailed):
        print(f"failed: {one_line(str(error))}; {_log(error)}", file=sys.stderr)
        return FAILURE
    traceback.print_exception(error)
    print(f"error: a failure of harness, not of your input; {_log(error)}", file=sys.stderr)
    return FAILURE


def one_line(text: str) -> str:
    """The text with line breaks and runs of blanks made one blank."""
    return " ".join(text.split())


def _advice(error: OSError) -> str:
    place = f"`{error.filename}`: " if error.filename else ""
    return f"{place}{ADVICE[error.errno or errno.ENOSPC]}"


def _log(error: BaseException) -> str:
    """Where the log is; one is written where the failing part has none of its own."""
    for note in getattr(error, "__notes__", ()):
        if note.startswith("log: "):
            return f"the log is {note.removeprefix('log: ')}"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = Path(tempfile.gettempdir()) / f"harness-{stamp}-{os.getpid()}.log"
    lines = [f"command: {' '.join(sys.argv)}\n", *traceback.format_exception(error)]
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError:
        return "no log could be written"
    return f"the log is {path}"
