"""Where in a model an error of pydantic lies: the keys of the file, and what is allowed there."""

from __future__ import annotations

from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel


def as_written(model: type[BaseModel], loc: tuple[Any, ...]) -> tuple[Any, ...]:
    """The keys as they stand in the file: pydantic also names the member of a union (`slack`)."""
    keys: list[Any] = []
    here: Any = model
    for part in loc:
        if not _members(here):
            keys.append(part)
        here = _inside(here, part)
    return tuple(keys)


def allowed_at(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """The keys of the section that an error's place leads to."""
    here: Any = model
    for part in loc:
        here = _inside(here, part)
    return [each.alias or name for name, each in here.model_fields.items() if not each.exclude]


def _inside(annotation: Any, part: Any) -> Any:
    """What `part` names in a section, a mapping, or a union of sections that have a `type`.

    None where it leads to nothing: an unknown key, the place in a list.
    """
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    if members := _members(annotation):
        return next((each for each in members if part in _tags(each)), None)
    if not _is_section(annotation):
        return None
    fields = annotation.model_fields.items()
    inner = next((each.annotation for name, each in fields if part in (each.alias, name)), None)
    sections = list(filter(_is_section, get_args(inner)))  # of `Section | None`
    return sections[0] if len(sections) == 1 and get_origin(inner) is not dict else inner


def _members(annotation: Any) -> list[type[BaseModel]]:
    """The sections among which `type` chooses."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    found = [each for each in get_args(annotation) if _is_section(each)]
    return found if len(found) > 1 else []


def _tags(section: type[BaseModel]) -> tuple[Any, ...]:
    return get_args(section.model_fields["type"].annotation)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
