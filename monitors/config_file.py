"""A YAML file whose errors say in one line: file, line, key, what was found, what is allowed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from monitors.config_places import allowed_at, as_written
from monitors.errors import ConfigError

SHOWN = 60
"""How much of a wrong value is shown."""


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The values, and the tree that knows on which line each of them stands."""

    path: Path
    values: dict[str, Any]
    tree: Any


def read_yaml(path: Path) -> YamlFile:
    """A mapping read from a file; an empty file is an empty mapping. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        said = f"{path}: not found; `rampart init` proposes one, `--config` names another"
        raise ConfigError(one_line(said)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        said = f"{path}: cannot be read ({reason}); needed is a {path.name}"
        raise ConfigError(one_line(said)) from None
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_repeated_keys(path, tree, set())
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else f"{path}:1"
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(one_line(f"{where}: not valid YAML: {problem}")) from None
    except RecursionError:
        raise ConfigError(f"{path}:1: not valid YAML: nested too deeply") from None
    except (ValueError, TypeError, OverflowError) as error:  # 2026-13-45 is read as a date
        line = _unreadable_line(tree, set()) or 1
        raise ConfigError(one_line(f"{path}:{line}: a value cannot be read: {error}")) from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(
            one_line(f"{path}:1: found {_kind(values)}, allowed is a mapping of keys")
        )
    return YamlFile(path, values, tree)


def explain(error: ValidationError, file: YamlFile, model: type[BaseModel]) -> list[str]:
    """Each of the errors, as one line for a person."""
    return [_explain(each, file, model) for each in error.errors()]


def _explain(fault: ErrorDetails, file: YamlFile, model: type[BaseModel]) -> str:
    loc = tuple(part for part in fault["loc"] if part != "[key]")
    keys = as_written(model, loc)
    if fault["type"] == "extra_forbidden":
        said = f"unknown key; allowed: {', '.join(allowed_at(model, loc[:-1]))}"
    elif fault["type"].startswith("union_tag"):  # which member of a union is meant
        context: dict[str, Any] = fault["ctx"]
        keys = (*keys, context["discriminator"].strip("'"))
        missing = fault["type"] == "union_tag_not_found"
        said = "missing; it must be given"
        if not missing:
            said = f"found {_kind(context['tag'])}, allowed is {context['expected_tags']}"
    elif fault["type"] == "secret":
        said = f"found a value that is not shown, allowed is {fault['msg']}"
    elif fault["type"] == "needed":
        said = fault["msg"]
    elif fault["type"] == "missing":
        said = "missing; it must be given"
    elif fault["type"] in ("invalid_key", "string_type") and "[key]" in fault["loc"]:
        said = "found a key that is no text, allowed is a name"
    else:
        allowed = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        said = f"found {_kind(fault['input'])}, allowed is {allowed}"
    key = ".".join(str(part) for part in keys)
    return one_line(f"{file.path}:{_line(file.tree, keys)}: key `{key}`: {said}")


def wrong(file: YamlFile, keys: tuple[Any, ...], found: Any, allowed: str) -> str:
    """What a model alone cannot see, said in the same way."""
    where = f"{file.path}:{_line(file.tree, keys)}: key `{'.'.join(map(str, keys))}`"
    return one_line(f"{where}: found {_kind(found)}, allowed is {allowed}")


def one_line(text: str) -> str:
    """Whatever stood in the file, the message has one line and nothing that a terminal obeys."""
    return "".join(sign if sign.isprintable() else " " for sign in " ".join(text.split()))


def _line(node: Any, keys: tuple[Any, ...]) -> int:
    """The line of the deepest part of `keys` that stands in the file."""
    line = 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(key)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            node = node.value[key]
            line = node.start_mark.line + 1
    return line


def _unreadable_line(node: Any, seen: set[int]) -> int | None:
    """The line of the first scalar that looks like a date or a number and is none."""
    if id(node) in seen:
        return None
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        try:
            yaml.SafeLoader("").construct_object(node)
        except (ValueError, TypeError, OverflowError, yaml.YAMLError):
            return int(node.start_mark.line) + 1
        return None
    inner = getattr(node, "value", None) or []
    flat = [part for each in inner for part in (each if isinstance(each, tuple) else (each,))]
    return next((line for part in flat if (line := _unreadable_line(part, seen))), None)


def _refuse_repeated_keys(path: Path, node: Any, seen: set[int]) -> None:
    """YAML lets the last one win: a feed copied and not renamed would be gone without a word."""
    if id(node) in seen or not isinstance(node, (yaml.MappingNode, yaml.SequenceNode)):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _refuse_repeated_keys(path, each, seen)
        return
    names: set[str] = set()
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value in names and key.value != "<<":
            line = key.start_mark.line + 1
            said = f"{path}:{line}: key `{key.value}`: found twice in one mapping, allowed is once"
            raise ConfigError(one_line(said))
        names.add(str(key.value))
        _refuse_repeated_keys(path, value, seen)


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = re.sub(r"(\w+://).+", r"\1...", str(value))  # an address may be a secret
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return "nothing" if value is None else f"`{shown}`"
