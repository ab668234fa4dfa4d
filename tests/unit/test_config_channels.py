"""`channels:`, `alerts:` and `heartbeat:`: an error names the line, and never shows a secret."""

# ruff: noqa: E501 - a table of wrong files and what is said of them

from __future__ import annotations

from datetime import time, timedelta
from pathlib import Path

import pytest

from monitors.config import load_config
from monitors.config_channels import EmailSettings, QuietHours
from monitors.results import Severity
from tests.unit.test_config import error_of

SLACK = "channels:\n  ops:\n    type: slack\n    url: {env: SLACK_URL}\n"
MAIL = "channels:\n  ops:\n    type: email\n    host: mail\n    from: a@b.example\n"
REFERENCE = (
    "found a value that is not shown, allowed is `{env: VARIABLE}` or `{file: /absolute/path}`"
)

WRONG = [
    ("channels:\n  ops: {type: slak}\n", 2, "channels.ops.type", "found `slak`, allowed is 'webhook', 'slack', 'email', 'apprise', 'sns', 'log'"),
    ("channels:\n  ops: {url: {env: X}}\n", 2, "channels.ops.type", "missing; it must be given"),
    ("channels:\n  ops:\n    type: slack\n", 2, "channels.ops.url", "missing; it must be given"),
    ("channels:\n  Ops: {type: log}\n", 2, "channels.Ops", "found `Ops`, allowed is a name of lower-case letters"),
    ("channels:\n  ops:\n    type: log\n    log: 3\n", 4, "channels.ops.log", "unknown key; allowed: type, only, digest, quiet_hours, resolved, timeout"),
    ("channels:\n  log:\n    type: log\n    log: 3\n", 4, "channels.log.log", "unknown key; allowed: type, only, digest"),
    (SLACK + "    urll: x\n", 5, "channels.ops.urll", "unknown key; allowed: type, only, digest, quiet_hours, resolved, timeout, url"),
    (SLACK + "    only: {sevrity: high}\n", 5, "channels.ops.only.sevrity", "unknown key; allowed: owner, layer, severity, kind, environment"),
    (SLACK + "    only: {severity: urgent}\n", 5, "channels.ops.only.severity.0", "found `urgent`, allowed is 'critical', 'high', 'medium' or 'low'"),
    (SLACK + "    only:\n      kind:\n        - job_failure\n        - job\n", 8, "channels.ops.only.kind.1", "found `job`, allowed is 'job_failure', 'landing_failure'"),
    (SLACK + "    only: {layer: platinum}\n", 5, "channels.ops.only.layer.0", "allowed is 'bronze', 'silver' or 'gold'"),
    (SLACK + "    digest: hourly\n", 5, "channels.ops.digest", "found `hourly`, allowed is `daily at 08:00`"),
    (SLACK + "    digest: daily at 25:00\n", 5, "channels.ops.digest.at", "found `25:00`, allowed is a time of day"),
    (SLACK + "    digest: daily at 08:00 Mars/North\n", 5, "channels.ops.digest.timezone", "found `Mars/North`, allowed is a time zone like Europe/Berlin"),
    (SLACK + "    quiet_hours:\n      from: 22\n      to: '07:00'\n", 6, "channels.ops.quiet_hours.from", "found `22`, allowed is a time of day in quotes"),
    (SLACK + "    quiet_hours: {from: '22:00', to: '22:00'}\n", 5, "channels.ops.quiet_hours", "allowed is quiet hours of which `from` and `to` differ"),
    (SLACK + "    quiet_hours: {from: '22:00'}\n", 5, "channels.ops.quiet_hours.to", "missing"),
    (SLACK + "    quiet_hours: {from: '22:00', to: '07:00', but: high}\n", 5, "channels.ops.quiet_hours.but", "unknown key; allowed: from, to, timezone, except"),
    (SLACK + "    timeout: 1 hour\n", 5, "channels.ops.timeout", "found `1 hour`, allowed is 1 second to 2 minutes"),
    (SLACK + "    resolved: maybe\n", 5, "channels.ops.resolved", "found `maybe`, allowed is a valid boolean"),
    ("channels:\n  ops: {type: webhook, url: {env: X}, headers: {Authorization: {env: A}, Host: {env: B}}}\n", 2, "channels.ops.headers.Host", "allowed is a header that Rampart does not set itself"),
    (MAIL + "    to: a@b.example\n    port: 0\n", 7, "channels.ops.port", "allowed is greater than 0"),
    (MAIL + "    to: []\n", 6, "channels.ops.to", "found a list, allowed is"),
    (MAIL + "    to: oncall\n", 6, "channels.ops.to.0", "found `oncall`, allowed is an address like `oncall@example.com`"),
    (MAIL + '    to: ["a@b.example\\nBcc: c@d.example"]\n', 6, "channels.ops.to.0", "allowed is an address like"),
    (MAIL + "    to: a@b.example\n    username: u\n", 2, "channels.ops", "allowed is `username` and `password` together"),
    (MAIL + "    to: a@b.example\n    username: u\n    password: {env: P}\n    security: none\n", 2, "channels.ops", "allowed is a password only with `security: starttls` or `tls`"),
    ("channels:\n  ops: {type: sns, topic_arn: alerts}\n", 2, "channels.ops.topic_arn", "found `alerts`, allowed is a topic like `arn:aws:sns:"),
    ("alerts: {samples: some}\n", 1, "alerts.samples", "found `some`, allowed is 'on', 'masked' or 'off'"),
    ("alerts:\n  flapping: {red: 3, of: 2}\n", 2, "alerts.flapping", "allowed is flapping of which `red` is no larger than `of`"),
    ("alerts: {runbook_url: docs/checks.md}\n", 1, "alerts.runbook_url", "found `docs/checks.md`, allowed is a URL that begins with https:// or http://"),
    ("heartbeat: {}\n", 1, "heartbeat.url", "missing; it must be given"),
    ("heartbeat:\n  url: {env: X}\n  after: [runs]\n", 3, "heartbeat.after.0", "found `runs`, allowed is 'load', 'build', 'scan', 'run' or 'audit'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "said"), WRONG)
def test_an_error_is_one_line_with_file_line_key_found_and_allowed(
    tmp_path: Path, text: str, line: int, key: str, said: str
) -> None:
    """Whatever type the channel has: the key stands there as it stands in the file."""
    found = error_of(tmp_path, text)

    assert found.startswith(f":{line}: key `{key}`: ")
    assert said in found


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("channels:\n  ops: {type: slack, url: SECRET}\n", "channels.ops.url"),
        ("channels:\n  ops: {type: slack, url: {env: https://host/SECRET}}\n", "channels.ops.url"),
        ("channels:\n  ops: {type: slack, url: {env: X, value: SECRET}}\n", "channels.ops.url"),
        ("channels:\n  ops: {type: slack, url: {file: run/SECRET}}\n", "channels.ops.url"),
        ("channels:\n  ops: {type: slack, url: [SECRET]}\n", "channels.ops.url"),
        ("channels:\n  ops: {type: webhook, url: {env: X}, secret: SECRET}\n", "channels.ops.secret"),
        ("channels:\n  ops: {type: webhook, url: {env: X}, headers: {Authorization: SECRET}}\n", "channels.ops.headers.Authorization"),
        (MAIL + "    to: a@b.example\n    username: u\n    password: SECRET\n", "channels.ops.password"),
        ("channels:\n  ops: {type: apprise, url: SECRET}\n", "channels.ops.url"),
        ("heartbeat: {url: SECRET}\n", "heartbeat.url"),
    ],
)  # fmt: skip
def test_a_literal_secret_is_refused_and_not_shown(tmp_path: Path, text: str, key: str) -> None:
    """The line of the key, and the two forms that are allowed."""
    found = error_of(tmp_path, text)

    assert f"key `{key}`: {REFERENCE}" in found
    assert "SECRET" not in found


def test_an_address_where_none_belongs_is_not_shown(tmp_path: Path) -> None:
    """Slack's is a secret by itself."""
    found = error_of(tmp_path, "channels:\n  ops: https://hooks.slack.com/services/SECRET\n")

    assert "found `https://...`" in found
    assert "SECRET" not in found


def test_a_whole_file(tmp_path: Path) -> None:
    """What docs/alerts.md shows, with the values that YAML reads in its own way."""
    path = tmp_path / "rampart.yml"
    path.write_text(
        MAIL
        + "    to: [oncall@example.com, Data team <data@example.com>]\n"
        + "    digest: none\n"
        + "    quiet_hours: {from: 22:00, to: 7:30, except: critical}\n"
        + "    timeout: 20 seconds\n"
        + "alerts: {samples: off, flapping: {red: 2, of: 3}, runbook_url: 'https://docs.example/'}\n"
        + "heartbeat: {url: {file: ~/heartbeat}, timeout: 2 seconds}\n"
    )
    config = load_config(path)
    ops = config.channels["ops"]

    assert isinstance(ops, EmailSettings)
    assert isinstance(ops.quiet_hours, QuietHours)
    assert (time(22), time(7, 30)) == (ops.quiet_hours.start, ops.quiet_hours.end)
    assert (Severity.CRITICAL,) == ops.quiet_hours.exempt
    assert (None, timedelta(seconds=20)) == (ops.digest, ops.timeout)
    assert ("off", 2, 3, "https://docs.example") == (
        config.alerts.samples,
        config.alerts.flapping.red,
        config.alerts.flapping.of,
        config.alerts.runbook_url,
    )
    assert config.heartbeat is not None
    assert ("scan", "run") == config.heartbeat.after
