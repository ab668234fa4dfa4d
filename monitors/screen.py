"""What a command shows: a summary for people, JSON for machines, a progress bar on a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from monitors.alert.lines import explain
from monitors.results import CheckResult, Status

if TYPE_CHECKING:
    from monitors.commands.load import ProgressFactory
    from monitors.store.postgres import Score
    from monitors.verdict import FeedLoad, Verdict

_SECONDS_AGO = re.compile(r"\d+ s ago")


@contextmanager
def load_progress() -> Iterator[ProgressFactory | None]:
    """A bar per file while loading, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = (
        "[progress.description]{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:

        def start(name: str, size: int) -> Callable[[int], None]:
            task = bar.add_task(name, total=size)
            return lambda count: bar.advance(task, count)

        yield start


def summary(verdict: Verdict) -> str:
    """What arrived, what was built, what is red and why; ends with a line end."""
    lines: list[str] = []
    lines += [_load_line(each) for each in verdict.loads]
    if verdict.build_skipped is not None:
        lines.append(f"built    not: {verdict.build_skipped}")
    elif verdict.build_exit_code is not None:
        lines.append(
            "built    " + ("with failures" if verdict.build_exit_code else "without a failure")
        )
    if verdict.scanned:
        lines.append(f"checked  {counts(verdict.results)}")
        lines += [_not_expected_line(*each) for each in verdict.not_expected]
    lines += _findings(verdict)
    if verdict.scanned:
        lines += _score_lines(verdict.scores)
        if verdict.health is not None:
            lines.append(f"health   {verdict.health.state}: {verdict.health.reason}")
        lines.append("")
        lines.append(
            "Dashboards may refresh."
            if verdict.exit_code == 0
            else "Dashboards must not refresh until this is mended."
        )
    if verdict.report:
        lines.append(f"report   {verdict.report}")
    lines.append(f"run {verdict.run_id}, exit code {int(verdict.exit_code)}")
    return "\n".join(lines) + "\n"


def each_result(verdict: Verdict) -> str:
    """Every result on a line of its own, the worst first, the same status in order of id."""
    found = sorted(verdict.results, key=lambda each: (each.status.rank, each.check_id))
    lines = [
        f"{'blocked' if each.blocked_by else each.status.value:<8} {each.check_id}: {each.message}"
        for each in found
    ]
    lines.append(counts(verdict.results))
    return "\n".join(lines) + "\n"


def _findings(verdict: Verdict) -> list[str]:
    """Five lines for each red check, one for each that warns or is blind."""
    lines: list[str] = []
    now = datetime.now(timezone.utc)
    for result in verdict.red:
        since = verdict.red_since.get((result.check_id, result.segment or ""))
        first, *rest = explain(result, since, now)
        lines += ["", f"  {first}", *(f"    {line}" for line in rest)]
    others = [each for each in verdict.results if each.status in (Status.WARN, Status.BLIND)]
    lines += [f"  {each.status.value}: {each.check_id}: {each.message}" for each in others]
    lines += [f"  warning: {each}" for each in verdict.warnings]
    lines += [
        f"  muted {each.muted}: {each.check_id}: {each.message} [{each.status.value}]"
        for each in verdict.results
        if each.is_failed and each.muted
    ]
    return lines


def _not_expected_line(feed: str, checks: int) -> str:
    noun = "check" if checks == 1 else "checks"
    return f"  not expected: {checks} {noun} of {feed}: optional, and nothing has ever come"


def as_json(verdict: Verdict) -> str:
    """The same for machines: one object, keys are a contract."""
    found: dict[str, Any] = {
        "run_id": verdict.run_id,
        "exit_code": int(verdict.exit_code),
        "status": verdict.status.value if verdict.scanned else None,
        "loads": [_load_object(each) for each in verdict.loads],
        "build_exit_code": verdict.build_exit_code,
        "build_skipped": verdict.build_skipped,
        "not_expected": [{"feed": feed, "checks": count} for feed, count in verdict.not_expected],
        "results": [asdict(each) for each in verdict.results],
        "scores": [asdict(each) for each in verdict.scores],
        "alerts": list(verdict.alerts),
        "health": asdict(verdict.health) if verdict.health else None,
        "report": verdict.report or None,
        "warnings": list(verdict.warnings),
    }
    return json.dumps(found, default=str, indent=2) + "\n"


def counts(results: tuple[CheckResult, ...]) -> str:
    """`76 checks: 74 pass, 1 fail, 1 blocked`, worst first."""
    blocked = sum(1 for each in results if each.blocked_by is not None)
    muted = sum(1 for each in results if each.is_failed and each.muted)
    parts = []
    for status in Status:
        number = sum(
            1
            for each in results
            if each.status is status
            and each.blocked_by is None
            and not (each.is_failed and each.muted)
        )
        if number:
            parts.append(f"{number} {status.value}")
    if muted:
        parts.append(f"{muted} muted")
    if blocked:
        parts.append(f"{blocked} blocked by a failed parent")
    return f"{len(results)} checks: {', '.join(parts) or 'none reported'}"


def _score_lines(scores: tuple[Score, ...]) -> list[str]:
    """`score    bronze 100, silver 95.2, gold 100; version chains 100`."""
    known = [each for each in scores if each.score is not None]
    layers = {each.subject: each for each in known if each.kind == "layer"}
    parts = [_score(name, layers[name]) for name in ("bronze", "silver", "gold") if name in layers]
    chains = [_score(each.subject.split(".")[-1], each) for each in known if each.kind == "scd2"]
    if not parts and not chains:
        return []
    scd2 = f"; version chains of {', '.join(chains)}" if chains else ""
    return [f"score    {', '.join(parts)}{scd2}"]


def _score(name: str, score: Score) -> str:
    # 99.96 is not 100: rounded down
    return f"{name} {int((score.score or 0) * 10) / 10:g}"


def _load_line(each: FeedLoad) -> str:
    if each.is_absent:
        waits = f", {_not_whole(each.skipped)}" if each.skipped else ""
        return f"loaded   {each.feed}: no file{waits}"
    refused_before = {refusal.name for refusal in each.refused_before}
    old = sum(1 for file in each.files if not file.delivery and file.name not in refused_before)
    parts = [f"{len(each.new)} new {'file' if len(each.new) == 1 else 'files'}, {each.rows:,} rows"]
    if each.dead_letters:
        letters = "dead letter" if each.dead_letters == 1 else "dead letters"
        parts.append(f"{each.dead_letters} {letters}")
    if each.refused:
        parts.append(f"{len(each.refused)} refused")
    if each.failed:
        parts.append(f"{len(each.failed)} failed")
    if each.skipped:
        parts.append(_not_whole(each.skipped))
    if old:
        parts.append(f"{old} loaded before")
    if each.refused_before:
        parts.append(f"{len(each.refused_before)} refused before")
    added = sorted({name for file in each.new for name in file.drift.added})
    missing = sorted({name for file in each.new for name in file.drift.missing})
    guessed = [file.name for file in each.new if file.moment_is_guessed]
    if guessed:
        parts.append(f"no moment in the name of {_first(guessed)}: its file time stands for it")
    if added:
        parts.append(f"new columns: {', '.join(added)}")
    if missing:
        parts.append(f"columns that did not come: {', '.join(missing)}")
    return f"loaded   {each.feed}: {', '.join(parts)}"


def _not_whole(skipped: Sequence[tuple[str, str]]) -> str:
    """`3 not whole yet (2 a temporary name: a.csv.part and 1 more; 1 changed just now: b.csv)`."""
    kinds: dict[str, list[str]] = {}
    for name, why in skipped:
        kinds.setdefault(_SECONDS_AGO.sub("just now", why), []).append(name)
    told = "; ".join(f"{len(names)} {why}: {_first(names)}" for why, names in kinds.items())
    return f"{len(skipped)} not whole yet ({told})"


def _first(names: Sequence[str]) -> str:
    """`a.csv and 5 more`."""
    return f"{names[0]} and {len(names) - 1} more" if names[1:] else names[0]


def _load_object(each: FeedLoad) -> dict[str, Any]:
    return {
        "feed": each.feed,
        "rows": each.rows,
        "dead_letters": each.dead_letters,
        "files": [
            {
                "name": file.name,
                "already_loaded": file.delivery is None,
                "delivery": asdict(file.delivery) if file.delivery else None,
                "columns_added": list(file.drift.added),
                "columns_missing": list(file.drift.missing),
            }
            for file in each.files
        ],
        "open_refusals": [asdict(refusal) for refusal in each.open_refusals],
        "skipped": [{"file": name, "why": why} for name, why in each.skipped],
        "failed": [{"file": path, "why": why} for path, why in each.failed],
    }
