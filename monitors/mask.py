"""Values that name a person, hidden wherever a row is shown."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

HIDDEN = "***"


def mask_row(row: Mapping[str, Any], personal: Collection[str]) -> dict[str, Any]:
    """The row with personal columns hidden; in a `payload`, the keys of that name at any depth.

    A payload that cannot be read is hidden as a whole when anything in it might be personal.
    """
    if not personal:
        return dict(row)
    hidden = {name: HIDDEN if name in personal else value for name, value in row.items()}
    payload = row.get("payload")
    if isinstance(payload, str) and "payload" not in personal:
        try:
            hidden["payload"] = json.dumps(_mask(json.loads(payload), personal), ensure_ascii=False)
        except (ValueError, RecursionError):
            hidden["payload"] = HIDDEN
    return hidden


def _mask(value: Any, personal: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: HIDDEN if key in personal and held is not None else _mask(held, personal)
            for key, held in value.items()
        }
    if isinstance(value, list):
        return [_mask(each, personal) for each in value]
    return value
