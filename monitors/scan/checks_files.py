"""SodaCL files as a register: which checks are expected to report, and what they carry.

A check that says something nobody understands is a `Definition` with a `problem`, and so is a file
that is no YAML: it becomes one `error` result, and every other check still reports.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from monitors.errors import ChecksError
from monitors.results import Category, Layer, Severity
from monitors.scan import checks_traps
from monitors.scan.checks_traps import Warned
from monitors.scan.checks_yaml import Broken, LocatedDict, LocatedList, read, repeated_key

_CHECKS = re.compile(r'^checks for (?P<dataset>"[^"]+"|\S+)(?: \[(?P<segment>[^\]]+)\])?$')
_EACH = re.compile(r"^(?:checks )?for each (?:dataset|table) \S+$")
_FILTER = re.compile(r'^filter (?P<dataset>"[^"]+"|\S+) \[(?P<segment>[^\]]+)\]$')
_CONFIGURATIONS = re.compile(r'^configurations for (?P<dataset>"[^"]+"|\S+)$')
_CLOUD = ("automated monitoring", "profile columns", "discover ", "sample ")
_THRESHOLD = re.compile(r"\s*(?:!=|<=|>=|<|>|=|\bbetween\b|\bnot between\b).*$")
_GENERIC = ("failed rows", "schema", "group by", "group evolution")
"""Checks whose first line says nothing of what they claim."""

_ALLOWED = {
    "category": [str(each.value) for each in Category],
    "layer": [str(each.value) for each in Layer],
    "severity": [str(each.value) for each in Severity],
}
_SQL = ("counts", "evidence")
_NUMBERS = ("critical", "smallest_change")
_KNOWN = (*_ALLOWED, *_SQL, *_NUMBERS, "time", "feed", "label", "matters", "do", "owner", "runbook")

Kind = Literal["table", "each", "source", "broken"]


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
    problem: str = ""
    """Why it cannot be evaluated, when that is known from the file alone."""
    kind: Kind = "table"
    header: str = ""
    item: Any = field(default=None, repr=False, compare=False)
    """The check as it stands, with its lines: what Soda's parser gets."""

    @property
    def suite(self) -> str:
        return self.path.stem

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}" if self.line else str(self.path)

    @property
    def metric(self) -> str:
        """The check without its threshold."""
        return _THRESHOLD.sub("", self.text).strip()

    @property
    def needs_history(self) -> bool:
        """Whether plain `soda scan` cannot evaluate it."""
        return checks_traps.needs_history(self.text, self.item)


@dataclass(frozen=True, slots=True)
class Section:
    """What checks of a dataset rely on: a filter, configurations of columns, variables."""

    path: Path
    header: str
    kind: Literal["filter", "configurations", "variables"]
    dataset: str
    body: Any = field(repr=False, compare=False)
    segment: str | None = None


@dataclass(frozen=True, slots=True)
class Checks:
    """All that the checks files say."""

    definitions: tuple[Definition, ...] = ()
    sections: tuple[Section, ...] = ()
    warnings: tuple[Warned, ...] = ()

    @property
    def problems(self) -> list[Definition]:
        return [each for each in self.definitions if each.problem]

    def expected(self, *, plain_soda: bool) -> list[Definition]:
        """Those that must report; plain Soda has no history, so nobody waits for what needs it."""
        return [each for each in self.definitions if not (plain_soda and each.needs_history)]


def find_files(root: Path, patterns: Iterable[str]) -> list[Path]:
    """The checks files of the configuration, in order of name."""
    return sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()})


def read_checks(files: Iterable[Path]) -> Checks:
    """Every check of the files, also those that cannot be evaluated.

    Raises ChecksError with file and line when not one of the files can be read at all.
    """
    found = [_file(path) for path in files]
    definitions = [each for checks in found for each in checks.definitions]
    if definitions and all(each.kind == "broken" for each in definitions):
        raise ChecksError(definitions[0].problem)
    return Checks(
        definitions=tuple(_with_own_ids(definitions)),
        sections=tuple(each for checks in found for each in checks.sections),
        warnings=tuple(each for checks in found for each in checks.warnings),
    )


def read_definitions(files: Iterable[Path]) -> list[Definition]:
    """Every check of the files. Raises ChecksError with the first problem that there is."""
    checks = read_checks(files)
    for each in checks.problems:
        raise ChecksError(each.problem)
    return list(checks.definitions)


def _with_own_ids(definitions: list[Definition]) -> Iterator[Definition]:
    """Two checks of one id would be one history: the later one is not evaluated."""
    seen: dict[str, Definition] = {}
    for each in definitions:
        if each.check_id in seen and not each.problem:
            said = (
                f"{each.where}: check id `{each.check_id}` is taken by"
                f" {seen[each.check_id].where}; give one of them another `identity:`"
            )
            other_id = f"{each.check_id} ({each.path.name}:{each.line})"
            each = replace(each, check_id=other_id, problem=said)
        seen.setdefault(each.check_id, each)
        yield each


# -------------------------------------------------------------------- one file


def _file(path: Path) -> Checks:
    try:
        tree = read(path)
        if tree.repeated:
            key, line = tree.repeated
            raise Broken(line, f"key `{key}`: found twice, allowed is once")
    except Broken as error:
        where = f"{path}:{error.line}" if error.line else str(path)
        return Checks(definitions=(_broken_file(path, error.line, f"{where}: {error.said}"),))
    definitions: list[Definition] = []
    sections: list[Section] = []
    warnings: list[Warned] = []
    for key, body in tree.items():
        line = tree.lc.data[key][0] + 1
        header = str(key).strip()
        section = _section(path, header, body)
        if section is not None:
            sections.append(section)
        elif header.startswith(_CLOUD):
            said = f"section `{header}` is for Soda Cloud; Rampart does not run it"
            warnings.append(Warned(path, line, said))
        else:
            definitions += _definitions(path, line, header, body)
    warnings += [
        Warned(path, each.line, said)
        for each in definitions
        if not each.problem
        for said in checks_traps.traps(each.text, each.item)
    ]
    return Checks(tuple(definitions), tuple(sections), tuple(warnings))


def _section(path: Path, header: str, body: Any) -> Section | None:
    if header == "variables":
        return Section(path, header, "variables", "", body)
    if found := _FILTER.match(header):
        return Section(path, header, "filter", found["dataset"].strip('"'), body, found["segment"])
    if found := _CONFIGURATIONS.match(header):
        return Section(path, header, "configurations", found["dataset"].strip('"'), body)
    return None


def _definitions(path: Path, line: int, header: str, body: Any) -> Iterator[Definition]:
    """The checks of one section; a section that nobody understands is one that has a problem."""
    dataset, segment, kind = "", None, "table"
    if found := _CHECKS.match(header):
        dataset, segment = found["dataset"], found["segment"]
    elif header == "checks":
        dataset, kind = "warehouse", "source"
    elif _EACH.match(header):
        kind = "each"
        patterns = body.get("datasets") or body.get("tables") if isinstance(body, dict) else None
        dataset = ", ".join(map(str, patterns)) if isinstance(patterns, list) else header
        body = body.get("checks") if isinstance(body, dict) else None
    else:
        said = f"{path}:{line}: found `{header}`, allowed are sections like `checks for DATASET:`"
        yield _broken_section(path, line, header, said)
        return
    if not isinstance(body, LocatedList) or not body:
        found_here = "nothing" if not body else type(body).__name__.removeprefix("Located").lower()
        said = f"{path}:{line}: `{header}`: found {found_here}, allowed is a list of checks"
        yield _broken_section(path, line, header, said)
        return
    shared: dict[str, Any] = {}
    for index, item in enumerate(body):
        at = body.lc.data[index][0] + 1
        if isinstance(item, dict) and list(item) == ["attributes"]:
            shared = item["attributes"] if isinstance(item["attributes"], dict) else {}
            continue
        yield _definition(path, at, header, kind, dataset, segment, item, shared)


def _definition(
    path: Path,
    line: int,
    header: str,
    kind: Any,
    dataset: str,
    segment: str | None,
    item: Any,
    shared: dict[str, Any],
) -> Definition:
    text, settings = str(item), {}
    if isinstance(item, dict) and item:
        text, settings = str(next(iter(item))), next(iter(item.values()))
    settings = settings if isinstance(settings, dict) else {}
    metric = _THRESHOLD.sub("", text).strip()
    attributes = settings.get("attributes") or {}
    name = str(settings.get("name") or text)
    claim = name if text in _GENERIC else metric
    problem = _problem(item, attributes if isinstance(attributes, dict) else None, shared)
    attributes = {**shared, **attributes} if isinstance(attributes, dict) else {}
    return Definition(
        path=path,
        line=line,
        dataset=dataset.strip('"'),
        segment=segment,
        text=text,
        name=name,
        check_id=str(settings.get("identity") or f"{dataset}.{claim}"),
        attributes={} if problem else attributes,
        problem=f"{path}:{line}: {problem}" if problem else "",
        kind=kind,
        header=header,
        item=item,
    )


def _problem(item: Any, attributes: dict[str, Any] | None, shared: dict[str, Any]) -> str:
    """What is wrong with a check, as far as its file alone tells."""
    if isinstance(item, list) or item is None or (isinstance(item, dict) and len(item) != 1):
        return f"found `{_short(item)}`, allowed is one check, like `row_count > 0`"
    if isinstance(item, LocatedDict) and (found := repeated_key(item)):
        return f"key `{found[0]}` in line {found[1]}: found twice, allowed is once"
    if attributes is None:
        return "`attributes` is no mapping of names to values"
    known = {**shared, **attributes}
    return next((said for name, value in known.items() if (said := _wrong(name, value))), "")


def _wrong(name: Any, value: Any) -> str:
    """A severity that nobody reads, because its name is mistyped, would be found in an incident."""
    meant = difflib.get_close_matches(str(name), _KNOWN, n=1, cutoff=0.8)
    if meant and name != meant[0]:
        return f"attribute `{name}`: did you mean `{meant[0]}`?"
    if name in _ALLOWED and value not in _ALLOWED[name]:
        return f"attribute `{name}`: found `{value}`, allowed is {', '.join(_ALLOWED[name])}"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _NUMBERS and not is_number:
        return f"attribute `{name}`: found `{value}`, allowed is a number"
    if name == "smallest_change" and value <= 0:
        return f"attribute `{name}`: found `{value}`, allowed is a number above 0, like 0.5"
    if name in _SQL and not (isinstance(value, str) and value.strip()):
        return f"attribute `{name}`: found `{_short(value)}`, allowed is a SQL query"
    if name == "time" and not (isinstance(value, str) and re.fullmatch(r'\w+|"[^"]+"', value)):
        return f"attribute `{name}`: found `{_short(value)}`, allowed is a column"
    return ""


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:60]}..."


def _broken_file(path: Path, line: int, said: str) -> Definition:
    return Definition(
        path=path,
        line=line,
        dataset=path.name,
        segment=None,
        text="",
        name=f"the checks file {path.name} can be read",
        check_id=f"checks_file.{path.stem}",
        attributes={"category": Category.INFRASTRUCTURE.value},
        problem=said,
        kind="broken",
    )


def _broken_section(path: Path, line: int, header: str, said: str) -> Definition:
    return Definition(
        path=path,
        line=line,
        dataset=path.name,
        segment=None,
        text=header,
        name=f"the section `{header}` can be read",
        check_id=f"checks_file.{path.stem}.{header}",
        attributes={"category": Category.INFRASTRUCTURE.value},
        problem=said,
    )
