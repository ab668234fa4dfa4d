"""Documentation tells the truth: every check, command and macro is described where it should be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from monitors.cli import cli
from monitors.config import Scan
from monitors.config_feeds import Extract, Feed, Freshness, Moment, Thresholds
from monitors.config_landing import Landing
from monitors.errors import ExitCode
from monitors.results import Category, Layer, Severity
from monitors.scan.checks_files import Definition, find_files, read_definitions
from monitors.scan.register import SCAN_AGE
from monitors.store.migrate import available
from monitors.store.sql import statements
from tests.conftest import ROOT

CHECKS = read_definitions(find_files(ROOT, Scan().checks))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.check_id)
def test_each_check_says_what_an_on_call_person_needs(check: Definition) -> None:
    """An identity that survives, a category, a layer, why it matters, what to do, a section."""
    Category(check.attributes["category"])
    Layer(check.attributes["layer"])
    Severity(check.attributes["severity"])

    assert f"identity: {check.check_id}" in check.path.read_text()
    assert check.attributes["matters"].endswith(".")
    assert check.attributes["do"]
    headings = re.findall(r"^## (.*)$", (ROOT / "docs" / "checks.md").read_text(), re.MULTILINE)
    assert check.check_id in ", ".join(headings).split(", ")


SECTIONS = {
    name: text
    for names, text in re.findall(
        r"^## (.*)\n((?:(?!^#).*\n)*)", (ROOT / "docs" / "checks.md").read_text(), re.MULTILINE
    )
    for name in names.split(", ")
}
RULES = sorted(
    rule
    for path in (ROOT / "macros" / "rules").glob("*.sql")
    for rule in re.findall(r"- rule: (\w+)", path.read_text())
)


@pytest.mark.parametrize("name", [*(check.check_id for check in CHECKS), *RULES])
def test_each_check_and_rule_has_a_whole_section(name: str) -> None:
    """What it lists, why it matters, how to put it right."""
    section = " ".join(SECTIONS.get(name, "").split())

    assert section, f"docs/checks.md has no section `## {name}`"
    assert section.startswith("Lists "), name
    for word in ("**Why:**", "**Put right:**"):
        assert re.search(re.escape(word) + r" \S.*", section), f"{name}: no {word}"


def test_no_section_of_a_check_that_is_gone() -> None:
    """A heading that looks like a check or a rule is one."""
    ids = {check.check_id for check in CHECKS} | set(RULES) | {"dbt.*", SCAN_AGE}

    assert set() == {name for name in SECTIONS if re.search(r"[._]", name)} - ids


def test_each_rule_is_in_the_table() -> None:
    """docs/checks.md lists every rule with its effect, and no rule that does not exist."""
    table = dict(
        re.findall(r"^\| (\w+) \| (reject|flag) \|", (ROOT / "docs/checks.md").read_text(), re.M)
    )
    rules = {}
    for path in (ROOT / "macros" / "rules").glob("*.sql"):
        rules.update(re.findall(r"- rule: (\w+)\n\s+effect: (\w+)", path.read_text()))

    assert rules == table


def test_each_command_has_help_and_is_in_the_readme_or_changelog() -> None:
    """No command without a line that says what it does."""
    told = (ROOT / "README.md").read_text() + (ROOT / "CHANGELOG.md").read_text()
    for name, command in cli.commands.items():
        assert command.help, name
        assert name in told, name


@pytest.mark.parametrize("model", [Feed, Moment, Extract, Freshness, Thresholds, Landing])
def test_each_key_of_a_feed_is_described(model: type[BaseModel]) -> None:
    """docs/feeds.md has every key that the block of a feed may hold."""
    table = (ROOT / "docs" / "feeds.md").read_text().partition("## All keys")[2]
    named = {word for each in re.findall(r"`([^`]+)`", table) for word in re.findall(r"\w+", each)}

    assert set() == set(model.model_fields) - named


def test_each_macro_is_described() -> None:
    """Every public macro has an entry in _macros.yml, and every entry a macro."""
    described = {
        m["name"] for m in yaml.safe_load((ROOT / "macros/_macros.yml").read_text())["macros"]
    }
    written = {
        name
        for path in (ROOT / "macros").rglob("*.sql")
        for name in re.findall(r"{%-? macro (\w+)\(", path.read_text())
        if "__" not in name
    }

    written |= {f"test_{path.stem}" for path in (ROOT / "tests" / "generic").glob("*.sql")}

    assert written == described


def test_each_statement_is_explained() -> None:
    """SQL of the store is named and described; migrations are numbered without a gap."""
    assert len(statements("queries.sql")) > 10
    numbers = [number for number, _name, _sql in available()]

    assert list(range(1, len(numbers) + 1)) == numbers


def test_exit_codes_are_in_the_readme() -> None:
    """The table of the README and the code agree."""
    text = (ROOT / "README.md").read_text()
    for code in ExitCode:
        assert re.search(rf"\|[^|]*\b{int(code)}\b[^|]*\|", text), code


def test_models_stay_portable() -> None:
    """Postgres' own casts stand only under macros/engines."""
    for folder in ("models", "macros", "examples"):
        for path in (ROOT / folder).rglob("*.sql"):
            if "engines" not in path.parts and "dbt_packages" not in path.parts:
                assert not re.search(r"[a-z_)]::[a-z]", path.read_text()), path


def test_no_index_address_in_a_lock_file() -> None:
    """Lock files carry names, versions and hashes only."""
    for path in ROOT.glob("*.lock"):
        assert "://" not in path.read_text(), path
        assert Path(path).read_text().count("--hash=sha256:") > 100
