"""Libraries that only some channels need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from monitors.errors import ChannelError


def import_extra(module: str, extra: str) -> Any:
    """The module. Raises ChannelError that says what to type when it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        said = f"{module} is not installed: pip install 'rampart[{extra}]'"
        raise ChannelError(said, permanent=True) from None
