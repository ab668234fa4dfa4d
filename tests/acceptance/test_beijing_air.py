"""Real data: the UCI Beijing file loads unchanged and every cell of it is accounted for."""

from __future__ import annotations

import csv
import gzip
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from monitors import DataMonitor
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import SHARED, copy_project

SOURCE = SHARED / "data" / "beijing_air" / "measurements.csv.gz"
PARAMETERS = {"PM2.5": "pm2_5", "PM10": "pm10", "SO2": "so2", "NO2": "no2", "CO": "co", "O3": "o3"}

pytestmark = pytest.mark.skipif(
    not SOURCE.exists(), reason="the real data (../shared/data/beijing_air) are not here"
)


def test_every_cell_is_measured_declared_missing_or_rejected(
    warehouse: Target, use: Callable[[Target], None], tmp_path: Path
) -> None:
    """223,776 rows of six cells, counted independently from the file, and nothing else."""
    use(warehouse)
    project = copy_project(tmp_path / "project")
    shutil.copy(SOURCE, project / "measurements.csv.gz")

    loaded = DataMonitor(project).load("air_quality", [project / "measurements.csv.gz"])
    built = DataMonitor(project).build()
    expected = _counted_from_the_file()

    assert 0 == loaded.exit_code
    assert (223_776, 0) == (loaded.loads[0].rows, loaded.loads[0].dead_letters)
    assert 0 == built.exit_code, built.alerts
    with connect(warehouse) as connection:

        def rows(sql: str) -> list[tuple[object, ...]]:
            return connection.execute(sql.encode()).fetchall()

        found = rows(
            "select parameter, count(measured_value), count(*) filter (where is_declared_missing),"
            " sum(measured_value) from facts.fact_air_quality_measurements group by parameter"
        )
        assert expected == {row[0]: (row[1], row[2], float(row[3])) for row in found}
        assert 223_776 * 6 == sum(row[1] + row[2] for row in found)  # type: ignore[operator]
        assert 43_241 >= sum(row[2] for row in found)  # type: ignore[misc]
        broken = dict(rows("select rule, count(*) from quarantine.violations group by rule"))
        assert 14_987 == broken["pm2_5_within_pm10"]
        assert [(0,)] == rows("select sum(abs(unaccounted)) from monitoring.conservation")
        frozen = rows(
            "select count(*) from monitoring.air_quality_frozen_runs where parameter = 'o3'"
        )
        assert _frozen_runs("O3", 8) == frozen[0][0]


def _lines() -> list[dict[str, str]]:
    with gzip.open(SOURCE, "rt", newline="") as file:
        return list(csv.DictReader(file))


def _counted_from_the_file() -> dict[str, tuple[int, int, float]]:
    """{parameter: (measured, declared missing, sum)} by another way than the product's."""
    measured: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in _lines():
        for column, parameter in PARAMETERS.items():
            if line[column] == "NA":
                missing[parameter] += 1
            else:
                measured[parameter] += 1
                total[parameter] += round(float(line[column]) * 10_000)
    return {each: (measured[each], missing[each], total[each] / 10_000) for each in measured}


def _frozen_runs(column: str, hours: int) -> int:
    """Runs of equal measured values, missing hours left out, per station in order of time."""
    series: dict[str, list[float]] = {}
    for line in _lines():
        if line[column] != "NA":
            series.setdefault(line["station"], []).append(float(line[column]))
    runs = 0
    for values in series.values():
        length = 1
        for before, value in zip(values, [*values[1:], None], strict=True):
            if value == before:
                length += 1
                continue
            runs += length >= hours
            length = 1
    return runs
