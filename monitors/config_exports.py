"""`exports:` of rampart.yml: files that are copied to a landing place."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from monitors.config_types import Duration, Section

SETTLE = timedelta(seconds=2)


def _local(value: str) -> str:
    if "://" in value:
        raise ValueError("a path of this machine, or of what is mounted on it")
    return value


LocalPath = Annotated[str, Field(min_length=1), AfterValidator(_local)]


class Export(Section):
    """Files from one folder to another one, each whole or not at all."""

    source: Annotated[LocalPath, Field(alias="from")]
    """A glob, relative to rampart.yml; the path below its fixed part is kept."""
    to: LocalPath
    """A folder that is there: a mount that is gone must not become a folder of this disk."""
    required: bool = True
    """Whether no file at all is red."""
    settle: Duration = SETTLE
    """A file that was changed so shortly ago is looked at again after as long, and waits for the
    next run when it has changed."""
    overwrite: bool = False
    """Whether a file that the export did not write itself is replaced, too."""
