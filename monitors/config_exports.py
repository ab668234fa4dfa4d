"""`exports:` of rampart.yml: files that are copied to a landing place."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from monitors.config_types import Section


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
