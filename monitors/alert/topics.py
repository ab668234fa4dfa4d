"""What sort of trouble a red check is: its topic, kind and severity, and what it explains.

A topic is what a person would call the trouble (a load, a model, rejected rows, a volume). It says
which other red checks are only its consequences when they stand downstream of it.
"""

from __future__ import annotations

from enum import Enum
from typing import get_args

from monitors.config_channels import Kind
from monitors.results import CheckResult, Severity, Status

JOBS = "jobs"
"""The suite of verdicts about Rampart's own work."""
KINDS: tuple[Kind, ...] = get_args(Kind)


class Topic(str, Enum):
    """In the order in which they lead: a job before what it did not bring."""

    JOB = "job"
    """A load, a build, a command that failed."""
    LANDING = "landing"
    """A file that did not come, or came late, small or refused."""
    ARRIVAL = "arrival"
    """Nobody has loaded anything."""
    VALIDATION = "validation"
    """Columns that are not as promised."""
    MODEL = "model"
    """A model of dbt that could not be built."""
    ERROR = "error"
    """A check that could not be evaluated."""
    CONSERVATION = "conservation"
    """Rows lost or counted twice."""
    SCD = "scd"
    """A version chain that is broken."""
    QUARANTINE = "quarantine"
    """Too many rows or records that cannot be taken."""
    VOLUME = "volume"
    """Too few rows, or too many."""
    FRESHNESS = "freshness"
    """Rows that are too old."""
    RULE = "rule"
    """A claim about the rows: a dbt test, a business rule."""
    MISSING = "missing"
    """A check that did not report."""
    CHANNEL = "channel"
    """A channel that takes no alert."""

    @property
    def rank(self) -> int:
        """0 leads."""
        return list(Topic).index(self)


ABSENCE = {Topic.VOLUME, Topic.FRESHNESS, Topic.MISSING}
"""What rows that are not there look like, wherever they are missing."""
_FOLLOW_FROM_DATA = {Topic.QUARANTINE, Topic.VOLUME, Topic.FRESHNESS, Topic.RULE, Topic.MISSING}
_EVERYTHING = set(Topic) - {Topic.JOB, Topic.CHANNEL}

EXPLAINS: dict[Topic, set[Topic]] = {
    Topic.JOB: set(Topic) - {Topic.CHANNEL},
    Topic.LANDING: {Topic.LANDING, Topic.ARRIVAL, Topic.VOLUME, Topic.FRESHNESS, Topic.RULE,
                    Topic.MISSING},
    Topic.ARRIVAL: {Topic.ARRIVAL, Topic.VOLUME, Topic.FRESHNESS, Topic.MISSING},
    Topic.VALIDATION: {Topic.VALIDATION, Topic.MODEL, Topic.ERROR, *_FOLLOW_FROM_DATA},
    Topic.MODEL: _EVERYTHING - {Topic.LANDING, Topic.ARRIVAL},
    Topic.ERROR: {Topic.ERROR, Topic.MISSING},
    Topic.SCD: {Topic.SCD, Topic.RULE},
    Topic.CONSERVATION: {Topic.CONSERVATION, *ABSENCE},
    Topic.QUARANTINE: _FOLLOW_FROM_DATA,
    Topic.VOLUME: {Topic.VOLUME, Topic.FRESHNESS, Topic.RULE, Topic.MISSING},
    Topic.FRESHNESS: {Topic.VOLUME, Topic.FRESHNESS, Topic.RULE, Topic.MISSING},
    Topic.RULE: {Topic.RULE, Topic.SCD, Topic.MISSING},
    Topic.MISSING: {Topic.MISSING},
    Topic.CHANNEL: set(),
}  # fmt: skip
"""{a red check's topic: topics of checks downstream of it that it explains}."""

OF_ONE_FEED = {Topic.LANDING, Topic.QUARANTINE, Topic.VOLUME, Topic.FRESHNESS, Topic.RULE}
"""Causes that say nothing about what a table of all feeds says of another feed."""
LASTING = {Topic.JOB, Topic.LANDING, Topic.ARRIVAL, Topic.MODEL, Topic.ERROR}
"""Causes that go on working: what turns red downstream in a later run is still their doing. What a
later run finds beside rejected rows or a broken rule may have a cause of its own, and is told."""


# -------------------------------------------------------------------- from a result to its topic

_WORDS: tuple[tuple[Topic, tuple[str, ...]], ...] = (
    (Topic.CONSERVATION, ("conservation", "unaccounted")),
    (Topic.SCD, ("scd",)),
    (Topic.QUARANTINE, ("quarantine", "unreadable", "dead_letter", "rejected")),
    (Topic.FRESHNESS, ("freshness", "hours_behind", "stale")),
    (Topic.VOLUME, ("volume", "row_count", "row count")),
    (Topic.VALIDATION, ("schema", "contract", "required_column", "required column")),
    (Topic.ARRIVAL, ("log_entries", "rows_read")),
)
_VALIDATES = ("schema", "column", "contract", "required")


def topic_of(result: CheckResult) -> Topic:
    """By the check's id, suite and metric, in which its author named what it looks at."""
    check_id = result.check_id
    if check_id.startswith("job."):
        return Topic.JOB
    if check_id.startswith("alerts.channel."):
        return Topic.CHANNEL
    if check_id.startswith("landing."):
        said = check_id.rsplit(".", 1)[-1]
        return Topic.VALIDATION if _any_of(_VALIDATES, said) else Topic.LANDING
    if check_id.startswith("arrival.") and check_id.endswith(".admission"):
        return Topic.LANDING
    if result.suite_name == "dbt":
        return _topic_of_dbt(result)
    if result.status is Status.ERROR:
        return Topic.ERROR
    if result.status is Status.MISSING:
        return Topic.MISSING
    named = f"{check_id} {result.suite_name} {result.metric_name or ''}".lower()
    return next((topic for topic, words in _WORDS if _any_of(words, named)), Topic.RULE)


_RUN_OF_DBT = (
    "dbt.model.", "dbt.snapshot.", "dbt.seed.", "dbt.operation.", "dbt.build", "dbt.artifacts",
    "dbt.freshness",
)  # fmt: skip


def _topic_of_dbt(result: CheckResult) -> Topic:
    if result.status is Status.MISSING:
        return Topic.MISSING
    if result.check_id.startswith("dbt.source."):
        return Topic.ERROR if result.status is Status.ERROR else Topic.FRESHNESS
    if result.check_id.startswith(_RUN_OF_DBT):
        return Topic.MODEL
    # the model may be called scd: what counts is what the test is called
    test = result.check_id.rsplit(".", 1)[-1]
    return Topic.SCD if "scd2_" in test or "scd2_" in result.check_name else Topic.RULE


def _any_of(words: tuple[str, ...], text: str) -> bool:
    return any(word in text for word in words)


# -------------------------------------------------------------------- kind and severity

_KIND_OF_TOPIC: dict[Topic, Kind] = {
    Topic.JOB: "job_failure",
    Topic.LANDING: "landing_failure",
    Topic.ARRIVAL: "landing_failure",
    Topic.VALIDATION: "validation_failure",
    Topic.MODEL: "dbt_run_failure",
    Topic.ERROR: "monitoring_failure",
    Topic.MISSING: "monitoring_failure",
    Topic.CHANNEL: "monitoring_failure",
    Topic.SCD: "scd_validation_failure",
}


def kind_of(result: CheckResult) -> Kind:
    """The kind of an incident that this check leads."""
    topic = topic_of(result)
    if topic is Topic.RULE and result.suite_name == "dbt":
        return "dbt_test_failure"
    return _KIND_OF_TOPIC.get(topic, "data_quality_failure")


_SEVERITY_OF_KIND: dict[Kind, Severity] = {
    "job_failure": Severity.HIGH,
    "landing_failure": Severity.HIGH,
    "validation_failure": Severity.MEDIUM,
    "dbt_run_failure": Severity.HIGH,
    "dbt_test_failure": Severity.MEDIUM,
    "scd_validation_failure": Severity.HIGH,
    "monitoring_failure": Severity.HIGH,
}


def severity_of(result: CheckResult) -> Severity:
    """By its kind; of data quality by the check; a critical check is always critical."""
    kind = kind_of(result)
    if result.severity is Severity.CRITICAL:
        return Severity.CRITICAL
    if kind == "landing_failure" and result.severity in (Severity.MEDIUM, Severity.LOW):
        return Severity.MEDIUM  # the feed is optional
    return _SEVERITY_OF_KIND.get(kind, result.severity)


def urgency(severity: Severity) -> int:
    """0 is the most urgent."""
    return list(Severity).index(severity)


def most_urgent(*severities: Severity) -> Severity:
    return min(severities, key=urgency)
