"""SodaCL files as a register: which checks are expected to report, and what they carry."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from monitors.errors import ChecksError
from monitors.results import Category, Layer, Severity

_HEADER = re.compile(r"^checks for (?P<dataset>\S+)(?: \[(?P<segment>[^\]]+)\])?$")
_THRESHOLD = re.compile(r"\s*(?:!=|<=|>=|<|>|=|\bbetween\b|\bnot between\b).*$")


_ALLOWED = {
    "category": [str(each.value) for each in Category],
    "layer": [str(each.value) for each in Layer],
    "severity": [str(each.value) for each in Severity],
}
_KNOWN = (*_ALLOWED, "critical", "counts", "label", "matters", "do", "owner", "runbook", "feed")


@dataclass(frozen=True, slots=True)
class Definition:
    """One check as it stands in a file."""

    path: Path
    line: int
    dataset: str
    segment: str | None
    text: str
    """The check's first line, e.g. `quarantine_rate <= 0.05`."""
    name: str
    check_id: str
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def suite(self) -> str:
        return self.path.stem

    @property
    def metric(self) -> str:
        """The check without its threshold."""
        return _THRESHOLD.sub("", self.text).strip()


def find_files(root: Path, patterns: Iterable[str]) -> list[Path]:
    """The checks files of the configuration, in order of name."""
    return sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()})


def read_definitions(files: Iterable[Path]) -> list[Definition]:
    """Every check of the files. Raises ChecksError with file and line when one cannot be read."""
    definitions = [each for path in files for each in _definitions_of(path)]
    seen: dict[str, Definition] = {}
    for each in definitions:
        if each.check_id in seen:
            first = seen[each.check_id]
            raise ChecksError(
                f"{each.path}:{each.line}: check id `{each.check_id}` is taken by"
                f" {first.path}:{first.line}; give one of them another `identity:`"
            )
        seen[each.check_id] = each
    return definitions


def _definitions_of(path: Path) -> Iterator[Definition]:
    try:
        tree = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise ChecksError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "not valid"
        raise ChecksError(f"{where}: not valid YAML: {problem}") from None
    if tree is None:
        return
    if not isinstance(tree, yaml.MappingNode):
        raise ChecksError(
            f"{path}:1: found no mapping, allowed are keys like `checks for DATASET:`"
        )
    for key, body in tree.value:
        header = _HEADER.match(str(key.value).strip())
        if header is None or not isinstance(body, yaml.SequenceNode):
            continue  # filters, variables and the like
        for item in body.value:
            yield _definition(path, header["dataset"], header["segment"], item)


def _definition(path: Path, dataset: str, segment: str | None, item: yaml.Node) -> Definition:
    line = item.start_mark.line + 1
    if isinstance(item, yaml.MappingNode) and item.value:
        text = str(item.value[0][0].value)
        settings = _plain(item.value[0][1])
    else:
        text, settings = str(item.value), {}
    settings = settings if isinstance(settings, dict) else {}
    metric = _THRESHOLD.sub("", text).strip()
    attributes = settings.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise ChecksError(f"{path}:{line}: `attributes` is no mapping of names to values")
    _refuse_wrong(attributes, f"{path}:{line}")
    return Definition(
        path=path,
        line=line,
        dataset=dataset,
        segment=segment,
        text=text,
        name=str(settings.get("name") or text),
        check_id=str(settings.get("identity") or f"{dataset}.{metric}"),
        attributes=dict(attributes),
    )


def _refuse_wrong(attributes: dict[str, Any], where: str) -> None:
    """A severity that nobody reads, because its name is mistyped, would be found in an incident."""
    for name, value in attributes.items():
        meant = difflib.get_close_matches(str(name), _KNOWN, n=1, cutoff=0.8)
        if meant and name != meant[0]:
            raise ChecksError(f"{where}: attribute `{name}`: did you mean `{meant[0]}`?")
        if name in _ALLOWED and value not in _ALLOWED[name]:
            allowed = ", ".join(_ALLOWED[name])
            raise ChecksError(f"{where}: attribute `{name}`: found `{value}`, allowed is {allowed}")


def _plain(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()
