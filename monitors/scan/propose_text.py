"""Proposals as files: rampart.yml, and one file of SodaCL per mart with the guesses in comments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby
from typing import Any

import yaml

from monitors.scan.propose_facts import Check, MartProposal, VolumeEntry, relation


def checks_text(proposal: MartProposal, day: date) -> str:
    """The SodaCL file of one mart."""
    mart = proposal.mart
    lines = [
        f"# Proposed by `rampart init` on {day} for {mart.model} ({mart.path}). It is yours now:",
        "# change limits, write better `matters` and `do`, uncomment what fits. An `identity:` is",
        "# the check's id and stays. What `rampart init` finds here it never touches again.",
    ]
    if proposal.tested_by_dbt:
        lines += ["#", "# Not checked again, because `rampart scan` takes in what dbt says of it:"]
        lines += [f"#   {each}" for each in proposal.tested_by_dbt]
    for dataset, group in groupby(
        sorted(proposal.checks, key=lambda each: each.dataset or ""), lambda each: each.dataset
    ):
        checks = list(group)
        # a mapping without an active entry would be null, which Soda refuses
        is_live = any(each.active for each in checks)
        header = f"checks for {dataset or relation(mart)}:"
        lines += ["", header if is_live else f"# {header}"]
        for check in sorted(checks, key=lambda each: not each.active):
            lines += [f"  # {note}" for note in check.notes] if is_live else _noted(check.notes)
            block = _block(check)
            lines += [f"  {line}".rstrip() for line in block] if check.active else _aside(block)
    return "\n".join(lines) + "\n"


def configuration_text(
    volumes: Sequence[VolumeEntry], *, environment: str, day: date, where: str
) -> str:
    """A rampart.yml for a project that Rampart does not load."""
    lines = [
        f"# Proposed by `rampart init` on {day}. `rampart doctor` checks this file.",
        f"environment: {environment}".ljust(34) + "# dev, ci or prod: trials stay out of its score",
        "",
        "# Nothing is loaded by Rampart here. To have files loaded, describe them under `feeds:`.",
        "",
        "scan:",
        f"  checks: [{where}/*.yml]",
        "  statement_timeout: 10 minutes",
    ]
    if volumes:
        lines += [
            "",
            "# Rows per hour or day, modelled: what is usual for a Monday, what is missing today",
        ]
        lines += volumes_lines(volumes)
    return "\n".join(lines) + "\n"


def volumes_lines(volumes: Iterable[VolumeEntry]) -> list[str]:
    """The section `volumes:`; entries that nothing speaks for today are commented out."""
    entries = sorted(volumes, key=lambda each: (not each.active, each.dataset))
    live = any(each.active for each in entries)
    lines = ["volumes:" if live else "# volumes:"]
    for entry in entries:
        lines += [f"  # {note}" if live else f"#   {note}" for note in entry.notes]
        block = [
            f"{entry.dataset}:",
            f"  time: {_scalar(entry.time)}",
            f"  every: {entry.every}",
            f"  lateness: {entry.lateness}".ljust(24)
            + "# a guess: so long after its end a bucket is complete",
        ]
        block += [f"  # segment: {name}  ".ljust(24) + f"# {count} values, each modelled too"
                  for name, count in entry.segments]  # fmt: skip
        lines += [
            f"  {line}" if entry.active else f"{'  # ' if live else '#   '}{line}" for line in block
        ]
    return lines


def _block(check: Check) -> list[str]:
    """The lines of one check, as an item of a list."""
    lines = [
        f"- {check.text}:",
        f"    identity: {_scalar(check.identity)}",
        f"    name: {_scalar(check.name)}",
    ]
    if check.query is not None:
        metric = check.text.split(" ")[0]
        lines += [f"    {metric} query: |", *(f"      {line}" for line in check.query.splitlines())]
    lines.append("    attributes:")
    lines += [f"      {key}: {_scalar(value)}" for key, value in check.attributes.items()]
    return lines


def _aside(block: Sequence[str]) -> list[str]:
    return [f"  # {line}".rstrip() for line in block]


def _noted(notes: Iterable[str]) -> list[str]:
    return [f"  # {note}" for note in notes]


def _scalar(value: Any) -> str:
    """As YAML reads it back: plain where that is the same text, else in double quotes."""
    text = str(value)
    try:
        is_plain = yaml.safe_load(f"key: {text}") == {"key": text} and text == text.strip()
    except yaml.YAMLError:
        is_plain = False
    return text if is_plain and "\n" not in text else json.dumps(text, ensure_ascii=False)
