"""A recommended threshold as a unified diff against the file in which it stands."""

from __future__ import annotations

import difflib
from pathlib import Path

import yaml

from monitors.scan.bounds import Bounds, with_bounds
from monitors.scan.checks_files import Definition


def checks_diff(definition: Definition, bounds: Bounds, root: Path) -> str | None:
    """The check's line with other bounds; None when its threshold does not stand on that line."""
    text = with_bounds(definition.text, bounds)
    old = _text_of(definition.path)
    lines = old.splitlines(keepends=True)
    line = lines[definition.line - 1] if definition.line <= len(lines) else ""
    if text is None or line.count(definition.text) != 1:
        return None
    lines[definition.line - 1] = line.replace(definition.text, text)
    return _diff(old, "".join(lines), definition.path, root)


def sensitivity_diff(path: Path, dataset: str, sensitivity: float, root: Path) -> str | None:
    """`volumes: <dataset>: sensitivity:` with another value; None when the dataset is not there."""
    old = _text_of(path)
    settings = _settings_of(yaml.compose(old, Loader=yaml.SafeLoader), dataset)
    if settings is None or not settings.value:
        return None
    value = f"{sensitivity:g}"
    given = next((node for key, node in settings.value if key.value == "sensitivity"), None)
    if given is not None:
        new = old[: given.start_mark.index] + value + old[given.end_mark.index :]
    elif settings.flow_style:
        last = settings.value[-1][1].end_mark.index
        new = f"{old[:last]}, sensitivity: {value}{old[last:]}"
    else:
        first = settings.value[0][0].start_mark
        indent = " " * first.column
        new = f"{old[: first.index]}sensitivity: {value}\n{indent}{old[first.index :]}"
    return _diff(old, new, path, root)


def _settings_of(tree: yaml.Node | None, dataset: str) -> yaml.MappingNode | None:
    for name in ("volumes", dataset):
        if not isinstance(tree, yaml.MappingNode):
            return None
        tree = next((node for key, node in tree.value if key.value == name), None)
    return tree if isinstance(tree, yaml.MappingNode) else None


def _diff(old: str, new: str, path: Path, root: Path) -> str:
    name = path.relative_to(root) if path.is_relative_to(root) else path
    lines = difflib.unified_diff(
        old.splitlines(keepends=True),
        new.splitlines(keepends=True),
        fromfile=f"a/{name}",
        tofile=f"b/{name}",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _text_of(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:  # line ends stay as they are
        return file.read()
