"""The commands around the daily work: doctor, env, deps, sample, db."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from monitors.warehouse.target import Target
from tests.conftest import ROOT, Server, copy_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "project")


def rampart(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitors.cli", "--log-level", "error", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )


def test_doctor_finds_nothing_wrong(
    project: Path, warehouse: Target, use: Callable[[Target], None]
) -> None:
    """Every line begins with ok, and the exit code is 0."""
    use(warehouse)
    done = rampart(project, "doctor")

    assert (0, "") == (done.returncode, done.stderr)
    assert all(line.startswith("ok ") for line in done.stdout.splitlines())


def test_doctor_names_bad_checks_and_traps(
    project: Path, warehouse: Target, use: Callable[[Target], None]
) -> None:
    """A check that cannot be evaluated is wrong; one that is not what was meant is a warning."""
    use(warehouse)
    path = project / "monitors" / "checks" / "traps.yml"
    path.write_text(
        "checks for facts.fact_events:\n  - change for row_count < 50%\n"
        "  - row_count > 0: {attributes: {severty: high}}\n"
    )
    done = rampart(project, "doctor")

    assert 2 == done.returncode
    assert f"warn  checks: {path}:2: `change for row_count < 50%`" in done.stdout
    assert f"WRONG checks: {path}:3: attribute `severty`: did you mean" in done.stdout


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda p: (p / "rampart.yml").write_text("fedes: {}"),
            "unknown key; allowed: env",
        ),
        (lambda p: (p / "dbt_project.yml").unlink(), "dbt_project.yml is missing"),
        (
            lambda p: [c.unlink() for c in (p / "monitors/checks").rglob("*.yml")],
            "checks is red",
        ),
    ],
)
def test_doctor_says_what_is_wrong(
    project: Path,
    warehouse: Target,
    use: Callable[[Target], None],
    spoil: Callable[[Path], object],
    said: str,
) -> None:
    """Each broken part is one line that begins with WRONG, and the exit code is 2."""
    use(warehouse)
    spoil(project)
    done = rampart(project, "doctor")

    assert 2 == done.returncode
    assert any(line.startswith("WRONG") and said in line for line in done.stdout.splitlines())


def test_doctor_lists_every_fault_of_the_configuration(project: Path) -> None:
    """One line each; the other commands show the first, and say who lists the rest."""
    path = project / "rampart.yml"
    path.write_text("fedes: {}\nscan: {parallel: many}\n")
    wrong = [line for line in rampart(project, "doctor").stdout.splitlines() if line[:5] == "WRONG"]

    assert ["WRONG configuration"] * 2 == [line.partition(": ")[0] for line in wrong]
    assert {"`fedes`", "`scan.parallel`"} == {line.split()[4].strip(":") for line in wrong}
    assert "(and 1 more: `rampart doctor` lists them)" in rampart(project, "load").stderr


def test_a_wrong_password_is_one_line(project: Path, debian_server: Server) -> None:
    """Exit 2, one line with where and as whom, and no password in it."""
    variables = {
        "RAMPART_HOST": debian_server.host,
        "RAMPART_PORT": str(debian_server.port),
        "RAMPART_USER": debian_server.user,
        "RAMPART_DBNAME": "postgres",
        "RAMPART_PASSWORD": "wrong-secret",
    }
    for command in ("load", "build", "scan", "run"):
        done = rampart(project, command, **variables)

        assert 2 == done.returncode
        assert 1 == len(done.stderr.splitlines())
        assert "password authentication failed" in done.stderr
        assert "wrong-secret" not in done.stdout + done.stderr


def test_a_profile_takes_the_place_of_the_embedded_postgres(
    project: Path, debian_server: Server
) -> None:
    """profiles.yml is read as dbt reads it, env_var included; RAMPART_* wins over it."""
    target = debian_server.new_database()
    (project / "profiles.yml").write_text(
        "rampart:\n  target: prod\n  outputs:\n    prod:\n      type: postgres\n"
        f"      host: {target.host}\n      port: {target.port}\n      user: {target.user}\n"
        "      password: \"{{ env_var('MY_SECRET') }}\"\n"
        f"      dbname: {target.dbname}\n      schema: rampart\n"
    )
    fine = rampart(
        project, "load", "sf_user", DBT_PROFILES_DIR=str(project), MY_SECRET=debian_server.password
    )
    lost = rampart(project, "load", DBT_PROFILES_DIR=str(project), MY_SECRET="x", RAMPART_PORT="1")

    assert 1 == fine.returncode, "the feed is required and its place is not there"
    assert "MOUNT FAILURE !! - landing/salesforce: it does not exist" in fine.stderr
    assert 2 == lost.returncode
    assert "127.0.0.1:1" in lost.stderr


def test_an_unknown_feed_exits_2(
    project: Path, warehouse: Target, use: Callable[[Target], None]
) -> None:
    """The line names the file and the feeds that exist."""
    use(warehouse)
    done = rampart(project, "load", "clickstraem")

    assert 2 == done.returncode
    assert "known: air_quality, clickstream, leases, sf_user" in done.stderr


def test_sample_writes_the_known_case_and_says_so(project: Path) -> None:
    """`rampart sample` needs no database."""
    done = rampart(project, "sample", "landing", "--last-day", "2026-11-19", "--days", "1")

    assert 0 == done.returncode
    assert "2,908" in done.stdout
    assert (project / "landing" / "clickstream" / "events_2026-11-19.jsonl.gz").exists()


def test_help_of_every_command(project: Path) -> None:
    """--help works for each command without a configuration."""
    from monitors.cli import cli

    for name in cli.commands:
        assert 0 == rampart(project, name, "--help").returncode
