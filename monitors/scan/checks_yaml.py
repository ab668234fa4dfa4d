"""YAML 1.2 with the line of everything, as Soda's parser wants it, read once and by libyaml."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Broken(Exception):
    """A file that is no YAML, or YAML that nobody can mean: line (from 1) and what was found."""

    def __init__(self, line: int, said: str) -> None:
        super().__init__(said)
        self.line = line
        self.said = said


class LocatedDict(dict[Any, Any]):
    """A mapping whose `lc.data` is {key: (line, column)}, counted from 0."""

    def __init__(self) -> None:
        super().__init__()
        self.lc = SimpleNamespace(data={})
        self.repeated: tuple[str, int] | None = None
        """The first key that stands twice in here: (its name, its line)."""


class LocatedList(list[Any]):
    """A list whose `lc.data` is [(line, column)], counted from 0."""

    def __init__(self) -> None:
        super().__init__()
        self.lc = SimpleNamespace(data=[])


class _Yaml12(_Loader):  # type: ignore[misc]
    """YAML 1.2, as Soda reads it: `yes` and `on` are words, `12:30` is no number of minutes."""

    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("null", r"^(?:~|null|Null|NULL|)$", "~nN\0")
_resolve("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789")
_resolve(
    "float",
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
    r"|\.(?:nan|NaN|NAN))$",
    "-+.0123456789",
)
_resolve("merge", r"^<<$", "<")
_resolve("timestamp", r"^\d{4}-\d\d-\d\d(?:[Tt ]\d\d?:\d\d:\d\d(?:\.\d*)?[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?)?)?$", "0123456789")  # fmt: skip  # noqa: E501
_Yaml12.yaml_implicit_resolvers[""] = _Yaml12.yaml_implicit_resolvers.pop("\0", [])


def _whole_number(_loader: Any, node: yaml.ScalarNode) -> int:
    text = str(node.value)
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


_Yaml12.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read(path: Path) -> LocatedDict:
    """The file as a mapping with lines, also when it is empty. Raises Broken."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Broken(0, f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise Broken(0, f"cannot be read (not UTF-8 at byte {error.start})") from None
    try:
        loader = _Yaml12(text)
        try:
            node = loader.get_single_node()
            tree = None if node is None else _Reader(loader).value(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise _explained(error, text) from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise Broken(1, f"not valid YAML: {error}") from None
    if tree is None:
        return LocatedDict()
    if not isinstance(tree, LocatedDict):
        raise Broken(1, "found no mapping, allowed are keys like `checks for DATASET:`")
    return tree


def repeated_key(value: Any) -> tuple[str, int] | None:
    """The first key that stands twice in one mapping, here or further down: (name, line)."""
    if isinstance(value, LocatedDict):
        inner = (repeated_key(each) for each in value.values())
        return value.repeated or next((each for each in inner if each), None)
    if isinstance(value, LocatedList):
        return next((found for each in value if (found := repeated_key(each))), None)
    return None


class _Reader:
    """Nodes as values that know their lines. An alias is read once."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.known: dict[int, Any] = {}
        self.open: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        if id(node) in self.known:
            return self.known[id(node)]
        if id(node) in self.open:
            raise Broken(node.start_mark.line + 1, "not valid YAML: an alias stands inside itself")
        self.open.add(id(node))
        if isinstance(node, yaml.MappingNode):
            found: Any = self._mapping(node)
        elif isinstance(node, yaml.SequenceNode):
            found = self._sequence(node)
        else:
            found = self.loader.construct_object(node, deep=True)
        self.open.discard(id(node))
        self.known[id(node)] = found
        return found

    def _sequence(self, node: yaml.SequenceNode) -> LocatedList:
        found = LocatedList()
        for each in node.value:
            found.append(self.value(each))
            found.lc.data.append((each.start_mark.line, each.start_mark.column))
        return found

    def _mapping(self, node: yaml.MappingNode) -> LocatedDict:
        found = LocatedDict()
        merged: list[Any] = []
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            if key_node.tag == "tag:yaml.org,2002:merge":
                source = self.value(value_node)
                merged += source if isinstance(source, list) else [source]
                continue
            key = self.value(key_node)
            if not isinstance(key, Hashable) or isinstance(key, LocatedDict):
                raise Broken(mark.line + 1, "not valid YAML: a key is a mapping or a list")
            if key in found and found.repeated is None:
                found.repeated = (str(key), mark.line + 1)
            found[key] = self.value(value_node)
            found.lc.data[key] = (mark.line, mark.column)
        for source in merged:
            for key, value in source.items() if isinstance(source, LocatedDict) else ():
                if key not in found:
                    found[key] = value
                    found.lc.data[key] = source.lc.data[key]
        return found


def _explained(error: yaml.YAMLError, text: str) -> Broken:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 1
    lines = text.splitlines()
    here = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip()) + 1]:
        return Broken(line, "not valid YAML: found a tab, lines begin with spaces")
    problem = getattr(error, "problem", None) or "not valid"
    return Broken(line, f"not valid YAML: {problem}")
