"""rampart.yml: an error is one line with file, line, key, what was found and what is allowed."""

# ruff: noqa: E501 - a table of wrong files and what is said of them

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitors.config import load_config
from monitors.config_feeds import place_of
from monitors.errors import ConfigError, UsageError
from tests.conftest import ROOT

FEED = "feeds:\n  web:\n    table: web_raw.events\n    format: csv\n    path: landing/*.csv\n"
CALENDAR = "calendars:\n  weekdays:\n"


def error_of(folder: Path, text: str | bytes) -> str:
    """What load_config says of this file, without the folder."""
    path = folder / "rampart.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(str(path)), "an error names the file"
    return said.removeprefix(str(path))


WRONG = [
    ("enviroment: prod\n", 1, "enviroment", "unknown key; allowed: environment, feeds, calendars, thresholds, scan, volumes, run, retention"),
    ("environment: dev\nroot: /tmp\n", 2, "root", "no such key"),
    (FEED + "    pth: x\n", 6, "feeds.web.pth", "unknown key; allowed: description, table, format, path, columns, delimiter"),
    (FEED + "    moment: {format: '%Y', offst: 1 day}\n", 6, "feeds.web.moment.offst", "unknown key; allowed: format, offset"),
    (FEED + "    moment:\n      format: '%Y'\n      offst: 1 day\n", 8, "feeds.web.moment.offst", "unknown key; allowed: format, offset"),
    (FEED + "    extract:\n      kinds: full\n", 7, "feeds.web.extract.kinds", "unknown key; allowed: kind, partial"),
    (FEED + "    thresholds: {dead: 1}\n", 6, "feeds.web.thresholds.dead", "unknown key; allowed: dead_letters"),
    (FEED + "    freshness: {within: 1 day, clocks: wall}\n", 6, "feeds.web.freshness.clocks", "unknown key; allowed: within, clock, calendar"),
    ("retention:\n  metric: 1 day\n", 2, "retention.metric", "unknown key; allowed: metrics, logs, dead_letters"),
    ("run:\n  than: []\n", 2, "run.than", "unknown key; allowed: then"),
    ("environment: production\n", 1, "environment", "found `production`, allowed is 'dev', 'ci' or 'prod'"),
    ("feeds: [a]\n", 1, "feeds", "found a list, allowed is a valid dictionary"),
    ("feeds:\n  web: hello\n", 2, "feeds.web", "found `hello`, allowed is"),
    ("feeds:\n  web:\n    format: csv\n    path: x\n", 2, "feeds.web.table", "missing; it must be given"),
    (FEED.replace("web_raw.events", "Events"), 3, "feeds.web.table", "found `Events`, allowed is a lower-case `schema.table`"),
    (FEED.replace("web_raw.events", "7"), 3, "feeds.web.table", "found `7`, allowed is a lower-case `schema.table`"),
    (FEED.replace("csv\n", "xml\n", 1), 4, "feeds.web.format", "found `xml`, allowed is 'csv', 'jsonl' or 'json'"),
    (FEED.replace("csv\n", "json\n", 1) + "    extract: {key: a, breaker: 0.2}\n", 2, "feeds.web", "allowed is a breaker for csv and jsonl only"),
    (FEED + "    columns: [b, c]\n    extract: {key: a, breaker: 0.2}\n", 2, "feeds.web", "allowed is an extract `key` among its columns: b, c"),
    (FEED.replace("landing/*.csv", "''"), 5, "feeds.web.path", "found ``, allowed is"),
    (FEED + "    encoding: latin-99\n", 6, "feeds.web.encoding", "found `latin-99`, allowed is an encoding that Python knows"),
    (FEED + "    encoding: utf-16\n", 6, "feeds.web.encoding", "found `utf-16`, allowed is an encoding that Python knows and that holds ASCII"),
    (FEED + "    encoding: base64\n", 6, "feeds.web.encoding", "found `base64`, allowed is"),
    (FEED + "    delimiter: '\"'\n", 6, "feeds.web.delimiter", "found `\"`, allowed is one of"),
    (FEED + "    delimiter: ab\n", 6, "feeds.web.delimiter", "found `ab`, allowed is one of"),
    (FEED + "    delimiter: '1'\n", 6, "feeds.web.delimiter", "found `1`, allowed is one of"),
    (FEED + "    columns: [a, B]\n", 6, "feeds.web.columns.1", "found `B`, allowed is a column"),
    (FEED + "    columns:\n      - a\n      - no\n", 8, "feeds.web.columns.1", "found `False`, allowed is a column"),
    (FEED + "    moment: {format: '%d-%b-%Y'}\n", 6, "feeds.web.moment.format", "found `%d-%b-%Y`, allowed is a date of %Y"),
    (FEED + "    freshness: {within: 6 fortnights}\n", 6, "feeds.web.freshness.within", "found `6 fortnights`, allowed is a duration like `6 hours` or `30 days`"),
    (FEED + "    freshness: {within: 1 day, calendar: weekdays}\n", 6, "feeds.web.freshness.calendar", "found `weekdays`, allowed is one of `calendars`: none yet"),
    (CALENDAR + "    closed: [Saturday]\n" + FEED + "    freshness:\n      within: 1 day\n      calendar: week\n", 11, "feeds.web.freshness.calendar", "found `week`, allowed is one of `calendars`: weekdays"),
    (CALENDAR + "    closed: [saturday, caturday]\n", 3, "calendars.weekdays.closed.1", "found `caturday`, allowed is a day of the week like `saturday`"),
    (CALENDAR + "    closed: [6]\n", 3, "calendars.weekdays.closed.0", "found `6`, allowed is a day of the week like `saturday`"),
    (CALENDAR + "    closed: [monday, tuesday, wednesday, thursday, friday, saturday, sunday]\n", 2, "calendars.weekdays", "allowed is a week with at least one open day"),
    (CALENDAR + "    holidays:\n      - 2026-12-25\n      - 25.12.2026\n", 5, "calendars.weekdays.holidays.1", "found `25.12.2026`, allowed is a date like 2026-12-25"),
    (CALENDAR + "    holidays: [2026-12-25 10:00:00]\n", 3, "calendars.weekdays.holidays.0", "allowed is a date like 2026-12-25"),
    (CALENDAR + "    timezone: Europe/Atlantis\n", 3, "calendars.weekdays.timezone", "found `Europe/Atlantis`, allowed is a time zone like Europe/Berlin"),
    (CALENDAR + "    timezone: ../zone\n", 3, "calendars.weekdays.timezone", "allowed is a time zone like Europe/Berlin"),
    (CALENDAR + "    open: 9\n", 3, "calendars.weekdays.open", "unknown key; allowed: closed, holidays, timezone"),
    (FEED + "    freshness: {}\n", 6, "feeds.web.freshness.within", "missing; it must be given"),
    ("retention:\n  logs: 99999999999999 weeks\n", 2, "retention.logs", "allowed is a duration that a calendar can hold"),
    ("thresholds:\n  dead_letters: 50\n", 2, "thresholds.dead_letters", "found `50`, allowed is less than or equal to 1"),
    ("thresholds: {dead_letters: .nan}\n", 1, "thresholds.dead_letters", "found `nan`, allowed is"),
    ("scan:\n  checks: x.yml\n", 2, "scan.checks", "found `x.yml`, allowed is a valid tuple"),
    ("environment: dev\nenvironment: prod\n", 2, "environment", "found twice in one mapping, allowed is once"),
    (FEED + FEED.removeprefix("feeds:\n"), 6, "web", "found twice in one mapping, allowed is once"),
    ("environment: |\n  a\n  b\n", 1, "environment", "found `a b `, allowed is"),
    ('"a\\nb": 1\n', 1, "a b", "unknown key"),
    ("feeds:\n  1: {}\n", 2, "feeds.1", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "said"), WRONG)
def test_an_error_is_one_line_with_file_line_key_found_and_allowed(
    tmp_path: Path, text: str, line: int, key: str, said: str
) -> None:
    """Unknown keys at every depth, wrong types, bad durations, tables, encodings, repeated keys."""
    found = error_of(tmp_path, text)
    assert found.startswith(f":{line}: key `{key}`: ")
    assert said in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("feeds:\n\tweb: {}\n", ":2: not valid YAML: found character '\\t'"),
        ("feeds: [a\n", ":2: not valid YAML: "),
        ("a: \x07\n", ":1: not valid YAML: "),
        ("- a\n- b\n", ":1: found a list, allowed is a mapping of keys"),
        ("hello\n", ":1: found `hello`, allowed is a mapping of keys"),
        ("a: 1\n---\nb: 2\n", ":2: not valid YAML: but found another document"),
        ("a: !!python/object:os.system x\n", ":1: not valid YAML: could not determine"),
        ("a: 2026-13-45\n", ":1: a value cannot be read: month must be in 1..12"),
        ("a: " + "[" * 5000 + "]" * 5000, ":1: not valid YAML: nested too deeply"),
        (b"a: \xff\n", ": cannot be read (not UTF-8 text)"),
    ],
)
def test_a_file_that_is_no_mapping_in_yaml_says_so(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    """A tab, a list, two documents, an impossible date, bytes that are no text."""
    assert error_of(tmp_path, text).startswith(said)


def test_more_than_one_error_is_counted(tmp_path: Path) -> None:
    """The first is shown, the others are announced, with the command that lists them."""
    said = "(and 2 more: `rampart doctor` lists them)"
    assert error_of(tmp_path, "a: 1\nb: 2\nc: 3\n").endswith(said)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: 1\nscan: {parallel: 99}\nrun: 3\n", [1, 2, 3]),
        (
            "feeds:\n"
            "  x: {table: r.x, format: csv, path: a.csv, freshness: {within: 1 day, calendar: c}}\n"
            "volumes:\n  r.x: {time: at, feed: y}\n",
            [2, 4],
        ),
    ],
    ids=["of the values", "of names that stand in another section"],
)
def test_each_fault_has_a_line_of_its_own(tmp_path: Path, text: str, lines: list[int]) -> None:
    """Whoever asks gets all of them at once, each with its place and what is allowed."""
    path = tmp_path / "rampart.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)

    assert [f"{path}:{line}" for line in lines] == sorted(
        each.partition(": ")[0] for each in caught.value.faults
    )
    assert not any("more" in each for each in caught.value.faults)


def test_a_missing_file_says_what_is_needed(tmp_path: Path) -> None:
    """Whether the file is named or its folder."""
    for path in (tmp_path, tmp_path / "rampart.yml"):
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        expected = "not found; `rampart init` proposes one, `--config` names another"
        assert str(caught.value) == f"{tmp_path / 'rampart.yml'}: {expected}"


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    """No feeds, a year of metrics, and the root is the folder of the file."""
    (tmp_path / "rampart.yml").write_text("# nothing yet\n")
    config = load_config(tmp_path)
    assert (config.feeds, config.environment) == ({}, "dev")
    assert config.retention.metrics == timedelta(days=400)
    assert config.root == tmp_path.resolve()


def test_rampart_environment_wins_and_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable overrides the file; a wrong one is blamed itself, not the file."""
    (tmp_path / "rampart.yml").write_text("environment: dev\n")
    monkeypatch.setenv("RAMPART_ENVIRONMENT", "prod")
    assert load_config(tmp_path).environment == "prod"
    monkeypatch.setenv("RAMPART_ENVIRONMENT", "staging")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    said = "RAMPART_ENVIRONMENT: found `staging`, allowed is dev or ci or prod"
    assert str(caught.value) == said


def test_rampart_config_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the folder it is in."""
    (tmp_path / "rampart.yml").write_text("environment: ci\n")
    for value in (tmp_path, tmp_path / "rampart.yml"):
        monkeypatch.setenv("RAMPART_CONFIG", str(value))
        assert load_config().environment == "ci"


def test_an_unknown_feed_names_the_known_ones(tmp_path: Path) -> None:
    """A typo on the command line is a usage error."""
    (tmp_path / "rampart.yml").write_text(FEED)
    with pytest.raises(UsageError, match=r"feed `wbe` is not in .*rampart\.yml; known: web"):
        load_config(tmp_path).feed("wbe")


@pytest.mark.parametrize(
    ("landing", "said"),
    [
        ("{min_files: 0}", "key `feeds.web.landing.min_files`: found `0`, allowed is"),
        ("{min_files: 3, expect: 2}", "allowed is an `expect` of at least `min_files`, 3"),
        ("{settle: soon}", "found `soon`, allowed is a duration"),
        ("{sequence: day}", "allowed is a `moment` with %d for `landing.sequence: day`"),
        ("{mount: soon}", "found `soon`, allowed is"),
        ("{newest: 1 day}", "unknown key; allowed: min_files, expect, window"),
    ],
)
def test_a_wrong_landing_is_one_line(tmp_path: Path, landing: str, said: str) -> None:
    """Line, key, what was found, and what is allowed."""
    text = FEED.rstrip() + f"\n    landing: {landing}\n"
    (tmp_path / "rampart.yml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_config(tmp_path)


@pytest.mark.parametrize("url", ["s3://bucket/in/*.csv", "file:///mnt/share/*.csv"])
def test_only_a_folder_can_be_a_mount(tmp_path: Path, url: str) -> None:
    """Nobody mounts a URL."""
    text = FEED.replace("landing/*.csv", url).rstrip() + "\n    landing: {mount: true}\n"
    (tmp_path / "rampart.yml").write_text(text)
    said = "allowed is a folder of this machine for `landing.mount: true`, and no URL"
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_config(tmp_path)


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/a/*.csv", "s3://*.csv", "s3://*/a.csv"])
def test_a_url_has_a_fixed_part_and_no_password(tmp_path: Path, url: str) -> None:
    """Secrets stay out of the file, and out of every message."""
    (tmp_path / "rampart.yml").write_text(FEED.replace("landing/*.csv", f"'{url}'"))
    with pytest.raises(ConfigError, match="allowed is a URL with") as caught:
        load_config(tmp_path)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("landing/web/*.csv", ("landing/web", "*.csv")),
        ("/data/**/day_*/*.json*", ("/data", "**/day_*/*.json*")),
        ("a.csv", (".", "a.csv")),
        ("s3://bucket/a/b/*.csv", ("s3://bucket/a/b", "*.csv")),
        ("s3://bucket/*/b.csv", ("s3://bucket", "*/b.csv")),
    ],
)
def test_a_path_has_a_place_and_a_pattern(path: str, place: tuple[str, str]) -> None:
    """The place is what comes before the first wildcard; the last part is never in it."""
    assert place == place_of(path)


def test_encodings_that_hold_ascii_are_allowed(tmp_path: Path) -> None:
    """The usual ones of files in the wild."""
    for encoding in (
        "UTF-8",
        "utf_8_sig",
        "latin-1",
        "cp1252",
        "cp437",
        "koi8-r",
        "gb18030",
        "big5",
    ):
        (tmp_path / "rampart.yml").write_text(FEED + f"    encoding: {encoding}\n")
        assert load_config(tmp_path).feeds["web"].encoding == encoding


def test_the_projects_own_files_are_valid() -> None:
    """rampart.yml of the project and of its example."""
    assert len(load_config(ROOT).feeds) >= 3
    for path in ROOT.glob("examples/*/rampart.yml"):
        assert load_config(path).feeds


def test_a_date_that_no_calendar_has_is_named_by_its_line(tmp_path: Path) -> None:
    """YAML itself refuses 30 February, long before a model sees it."""
    found = error_of(tmp_path, CALENDAR + "    holidays:\n      - 2026-12-25\n      - 2026-02-30\n")

    assert ":5: a value cannot be read: day is out of range for month" == found


def test_a_feed_is_counted_by_its_calendar(tmp_path: Path) -> None:
    """Weekdays as ISO numbers them, holidays as dates; without one every hour counts."""
    path = tmp_path / "rampart.yml"
    rest = "    closed: [Sunday, saturday]\n    holidays: [2026-12-25, '2027-01-01']\n    timezone: Asia/Tokyo\n"
    path.write_text(CALENDAR + rest + FEED + "    freshness: {within: 1 day, calendar: weekdays}\n")
    calendar = load_config(path).calendar_of("web")

    assert ((7, 6), "Asia/Tokyo") == (calendar.closed, calendar.timezone)
    assert ["2026-12-25", "2027-01-01"] == [day.isoformat() for day in calendar.holidays]
    path.write_text(FEED)
    assert ((), (), "UTC") == tuple(
        getattr(load_config(path).calendar_of("web"), name)
        for name in ("closed", "holidays", "timezone")
    )


KEYS = st.one_of(
    st.sampled_from([
        "environment", "feeds", "thresholds", "scan", "run", "retention", "root", "dead_letters",
        "table", "format", "path", "columns", "moment", "offset", "extract", "kind", "freshness",
        "within", "clock", "calendar", "calendars", "closed", "holidays", "timezone", "checks", "then", "metrics", "encoding", "delimiter", "web", "<<",
    ]),
    st.text(max_size=5), st.integers(), st.none(), st.booleans(),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates(),
        st.binary(max_size=5),
        st.sampled_from(["dev", "csv", "a.b", "1 day", "1e999 days", "%Y", "utf-8", "\ud7ff\n\x1b"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
DOCUMENTS = st.one_of(
    st.dictionaries(KEYS, VALUES, max_size=5).map(lambda tree: yaml.safe_dump(tree, allow_unicode=True)),
    st.text(max_size=60),
    st.text(alphabet="[]{}:,-&*!|>'\"#%@` \n\tab1.", max_size=40),
)  # fmt: skip


@settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(DOCUMENTS)
@example("&a [*a]")
@example("a: &a {b: *a}")
@example("feeds: &a {web: *a}")
@example("run: {then: &a [*a]}")
@example("<<: 1")
@example("{<<: {environment: prod}}")
@example("? [a, b]\n: 1")
@example("a: !!int x")
@example("a: !!binary _")
@example("1: 2")
@example("feeds: {[a]: 1}")
@example("&a b: *a")
def test_any_document_gives_a_config_or_one_line(tmp_path: Path, text: str) -> None:
    """500 random documents: never a traceback, never two lines."""
    path = tmp_path / "rampart.yml"
    try:
        path.write_text(text, encoding="utf-8")
    except UnicodeEncodeError:
        return
    try:
        said = repr(type(load_config(path)))
    except ConfigError as error:
        said = str(error)
    assert re.fullmatch(r"[^\n\x00-\x1f]+", said)
    assert len(said) < 700 + len(str(path))
