"""Dead letters of a stream as files, for whoever mends them outside of the warehouse.

One JSON line per dead letter, one file per delivery, whole or not at all. Writing a file again
gives the same bytes.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_letters(
    folder: Path, stream: str, delivery_id: int, letters: Iterable[Mapping[str, Any]]
) -> Path:
    """Write the dead letters of one delivery. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stream}-{delivery_id:012d}.jsonl"
    staged = folder / f".{path.name}.{os.getpid()}.tmp"
    try:
        with staged.open("w", encoding="utf-8") as file:
            for letter in letters:
                file.write(json.dumps(_as_object(stream, delivery_id, letter)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
    return path


def _as_object(stream: str, delivery_id: int, letter: Mapping[str, Any]) -> dict[str, Any]:
    content = bytes(letter["content"])
    try:
        shown = {"content": content.decode("utf-8")}
    except UnicodeDecodeError:
        shown = {"content_base64": base64.b64encode(content).decode("ascii")}
    return {
        "dead_letter_id": letter["dead_letter_id"],
        "stream": stream,
        "delivery_id": delivery_id,
        "partition": letter["source_partition"],
        "offset": letter["source_offset"],
        "reason": letter["reason"],
        **shown,
        "content_bytes": letter["content_bytes"],
        "recorded_at": letter["recorded_at"].isoformat(),
    }
