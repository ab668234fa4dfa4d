"""What the output of a failed job says about why: a line to alert with, the lines to record."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAMES_AN_ERROR = re.compile(
    # Python and Java, then what tools and loggers write before an error
    r"^(?:[\w.$]+\.)?\w*(?:Error|Exception|Exit|Interrupt|Failure)(?:: |$)"
    r"|^Caused by: |^Exception in thread |\b(?:ERROR|FATAL|CRITICAL|PANIC)\b|^(?:error|fatal)\b"
)
_IS_ROUTINE = re.compile(r"\b(?:INFO|DEBUG|TRACE)\b")
LINE_CHARACTERS = 300


def reason(stdout: Sequence[str], stderr: Sequence[str]) -> str:
    """The last line that names an error, also one before the tidying up that Spark logs.

    spark-submit prints the traceback of a Python script on standard output. Without any such line
    it is the last of standard error, or nothing when that is routine.
    """
    for lines in (stderr, stdout):
        for line in reversed(lines):
            if _NAMES_AN_ERROR.search(line):
                return line.strip()[:LINE_CHARACTERS]
    last = next((line for line in reversed(stderr) if line.strip()), "")
    return "" if _IS_ROUTINE.search(last) else last.strip()[:LINE_CHARACTERS]


def lines_to_keep(stdout: Sequence[str], stderr: Sequence[str]) -> list[str]:
    """The end of standard error; of standard output, too, when only that names an error."""
    if any(map(_NAMES_AN_ERROR.search, stderr)) or not any(map(_NAMES_AN_ERROR.search, stdout)):
        return list(stderr)
    return [*stdout, *stderr]
