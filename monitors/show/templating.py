"""How templates become pages, the same for every page of ours."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def new_environment() -> Environment:
    """Everything is escaped; an unknown name is an error. Filters are the caller's."""
    return Environment(
        loader=PackageLoader("monitors.show"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
