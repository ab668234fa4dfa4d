"""The mass-deletion breaker: refuse, record, alert; the next whole extract; let through by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from monitors import DataMonitor
from monitors.errors import UsageError
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target

CONFIG = """
feeds:
  register:
    table: register_raw.entries
    format: csv
    path: "*.csv"
    moment: {format: "%Y-%m-%d"}
    extract: {kind: full, key: code, breaker: 0.2}
"""


@pytest.fixture
def folder(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Path:
    use(warehouse)
    (tmp_path / "dbt_project.yml").write_text("name: p\n")
    (tmp_path / "rampart.yml").write_text(CONFIG)
    return tmp_path


def arrives(folder: Path, day: int, codes: list[str]) -> tuple[int, str | None, tuple[str, ...]]:
    """(exit code, admission, alerts) of one extract of the register."""
    path = folder / f"2024-01-{day:02}.csv"
    path.write_text("\n".join(["code,colour", *(f"{code},red" for code in codes)]) + "\n")
    verdict = DataMonitor(folder).load("register", [path])
    delivery = verdict.loads[0].files[0].delivery
    return verdict.exit_code, delivery and delivery.admission, verdict.alerts


CODES = [f"c{number}" for number in range(100)]


def test_a_truncated_and_an_empty_extract_are_refused_and_the_next_whole_one_goes_through(
    folder: Path,
) -> None:
    """Refused is red and says how many keys are gone; the comparison is with what was admitted."""
    assert (0, "admitted", ()) == arrives(folder, 1, CODES)
    code, admission, alerts = arrives(folder, 2, CODES[:30])
    assert (1, "refused") == (code, admission)
    assert "70 of 100 keys of the extract before are gone: 0.7 (max 0.2)" in alerts[0]
    assert "refused" == arrives(folder, 3, [])[1]
    assert (0, "admitted", ()) == arrives(folder, 4, CODES)


def test_one_monitor_runs_several_commands(folder: Path, warehouse: Target) -> None:
    """Each is a run of its own, with an id of its own."""
    (folder / "2024-01-01.csv").write_text("code,colour\nc1,red\n")
    monitor = DataMonitor(folder)
    ids = [monitor.load().run_id, monitor.load().run_id]
    with connect(warehouse) as connection:
        stored = connection.execute("select run_id from monitoring.runs order by 1").fetchall()

    assert len(set(ids)) == 2
    assert ids == [row[0] for row in stored]


def test_a_small_loss_goes_through(folder: Path) -> None:
    """Up to the share itself."""
    arrives(folder, 1, CODES)

    assert "admitted" == arrives(folder, 2, CODES[:80])[1]
    assert "refused" == arrives(folder, 3, CODES[:63])[1]


def test_another_spelling_deletes_nobody(folder: Path) -> None:
    """Case and outer blanks do not make another key."""
    arrives(folder, 1, CODES)

    assert "admitted" == arrives(folder, 2, [f" {code.upper()}" for code in CODES])[1]


def test_a_partial_extract_is_never_a_mass_deletion(folder: Path) -> None:
    """Only a full extract says who is gone."""
    text = CONFIG.replace("kind: full,", "kind: partial,")
    (folder / "rampart.yml").write_text(text)
    arrives(folder, 1, CODES)

    assert "admitted" == arrives(folder, 2, CODES[:1])[1]


def test_a_register_of_json_lines_has_a_breaker_too(folder: Path) -> None:
    """The key is then a key of the records; null and absent are no keys."""
    text = CONFIG.replace("csv", "jsonl")
    (folder / "rampart.yml").write_text(text)

    def said(day: int, codes: list[str]) -> tuple[str, str | None]:
        path = folder / f"2024-01-{day:02}.jsonl"
        lines = [*(f'{{"code": "{code}"}}' for code in codes), '{"code": null}', '{"other": 1}']
        path.write_text("\n".join(lines) + "\n")
        delivery = DataMonitor(folder).load("register", [path]).loads[0].files[0].delivery
        assert delivery is not None
        return delivery.admission, delivery.why

    assert ("admitted", None) == said(1, CODES)
    admission, why = said(2, CODES[:30])
    assert "refused" == admission
    assert why is not None
    assert "70 of 100 keys of the extract before are gone" in why
    assert "admitted" == said(3, CODES[:90])[0]


def test_let_through_by_name_keeps_both_reasons(folder: Path, warehouse: Target) -> None:
    """Who let it through and why, beside what the guard had said."""
    arrives(folder, 1, CODES)
    arrives(folder, 2, CODES[:30])
    monitor = DataMonitor(folder)
    assert ["2024-01-02.csv"] == [each["name"] for each in monitor.deliveries(refused=True)]
    monitor.let_through("register", "2024-01-02.csv", by="ann", why="division closed")

    with connect(warehouse) as connection:
        row = connection.execute(
            "select admission, admitted_by, why from monitoring.deliveries"
            " where name = '2024-01-02.csv'"
        ).fetchone()
    assert row is not None
    assert ("let through", "ann") == row[:2]
    assert row[2].startswith("division closed (refused by guard: mass deletion: 70 of 100")
    assert [] == monitor.deliveries(refused=True)
    with pytest.raises(UsageError, match="has no refused delivery"):
        monitor.let_through("register", "2024-01-02.csv", by="ann", why="again")


def test_a_breaker_needs_a_key(folder: Path) -> None:
    """A guard that could not work is refused when the configuration is read."""
    from monitors.errors import ConfigError

    (folder / "rampart.yml").write_text(CONFIG.replace("key: code, ", ""))
    with pytest.raises(ConfigError, match=r"extract.*`key`"):
        DataMonitor(folder)
