"""Hourly measurements of air stations, one CSV a station and day, laid out as the UCI Beijing set.

Pollutants in micrograms per cubic metre, TEMP and DEWP in degrees Celsius, PRES in hPa, RAIN in
mm, WSPM in m/s; the hour is local time and begins the measured hour; NA where nothing was measured.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from random import Random

STATIONS = ("Altmarkt", "Lindenhof", "Nordhafen", "Seeufer")
MEASURED = ("PM2.5", "PM10", "SO2", "NO2", "CO", "O3", "TEMP", "PRES", "DEWP", "RAIN", "wd", "WSPM")
HEADER = ",".join(("No", "year", "month", "day", "hour", *MEASURED, "station"))

_WIND = (
    "N",
    "NNE",
    "NE",
    "ENE",
    "E",
    "ESE",
    "SE",
    "SSE",
    "S",
    "SSW",
    "SW",
    "WSW",
    "W",
    "WNW",
    "NW",
    "NNW",
)
_SUN = (0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 6, 8, 9, 10, 9, 8, 5, 3, 1, 0, 0, 0, 0, 0)
_TRAFFIC = (1, 1, 0, 0, 1, 2, 5, 9, 10, 8, 6, 5, 5, 5, 5, 6, 8, 10, 9, 7, 5, 4, 3, 2)
_COLUMN = {column: at for at, column in enumerate(HEADER.split(","))}

CUT_OFF = (2, "Seeufer")  # days before the last one, station

_Rows = list[list[str]]


def files(first_day: date, last_day: date, seed: int) -> Iterator[tuple[date, str, bytes]]:
    """Yield (day, name, content) of every file, in order of arrival."""
    stations = [_Station(station, Random(f"{seed} {station}")) for station in STATIONS]
    day = first_day
    while day <= last_day:
        before_last = (last_day - day).days
        for station in stations:
            rows = station.measure(day, (day - first_day).days * 24)
            fault = _FAULTS.get((before_last, station.name))
            if fault:
                fault[1](rows)
            text = "\n".join([HEADER, *map(",".join, rows)]) + "\n"
            if (before_last, station.name) == CUT_OFF:
                text = _cut_off(text)
            yield day, _name(day, station.name), text.encode()
        day += timedelta(days=1)


def planted(first_day: date, last_day: date) -> list[str]:
    """Say which fault is in which file, one sentence each."""
    faults = {where: what for where, (what, _) in _FAULTS.items()}
    faults[CUT_OFF] = "cut off in the middle of its last row."
    return [
        f"{_name(last_day - timedelta(days=before_last), station)}: {what}"
        for (before_last, station), what in sorted(faults.items(), reverse=True)
        if before_last <= (last_day - first_day).days
    ]


def _name(day: date, station: str) -> str:
    return f"air_quality/PRSA_Data_{station}_{day.isoformat().replace('-', '')}.csv"


class _Station:
    """A station whose air changes from hour to hour, across midnight too."""

    def __init__(self, name: str, rnd: Random) -> None:
        self.name = name
        self._rnd = rnd
        self._dust = 30 + 60 * rnd.random()
        self._wind = int(16 * rnd.random())
        self._dry_hours = 0
        self._last = self._last_but_one = dict.fromkeys(MEASURED, "")

    def measure(self, day: date, rows_before: int) -> _Rows:
        rows = [
            [
                *map(str, (rows_before + hour + 1, day.year, day.month, day.day, hour)),
                *self._values(hour),
                self.name,
            ]
            for hour in range(24)
        ]
        # 3 to 5 of 288 values a day are 1.0 to 1.7 %.
        cells = [(hour, column) for hour in range(24) for column in MEASURED if column != "RAIN"]
        for hour, column in self._rnd.sample(cells, 3 + int(3 * self._rnd.random())):
            rows[hour][_COLUMN[column]] = "NA"
        return rows

    def _values(self, hour: int) -> list[str]:
        # No value stands for three hours by chance, so that only the planted one looks frozen.
        rain = _short(self._rain())
        while True:
            values = self._draw_hour(hour, rain)
            if not any(
                values[column] == self._last[column] == self._last_but_one[column]
                for column in MEASURED
                if column != "RAIN"
            ):
                self._last_but_one, self._last = self._last, values
                return list(values.values())

    def _draw_hour(self, hour: int, rain: str) -> dict[str, str]:
        sun, traffic, draw = _SUN[hour], _TRAFFIC[hour], self._rnd.random
        self._dust = min(180.0, max(8.0, self._dust * 0.93 + 8 * draw()))
        self._wind += int(5 * draw()) - 2
        temperature = 4 + 0.8 * sun + 2 * draw()
        coarse = self._dust * (1.3 + 0.3 * draw()) + 2
        return {
            "PM2.5": f"{self._dust:.0f}",
            "PM10": f"{coarse:.0f}",
            "SO2": f"{3 + traffic + 6 * draw():.0f}",
            "NO2": f"{14 + 5 * traffic + 12 * draw():.0f}",
            "CO": f"{300 + 8 * self._dust + 40 * traffic + 100 * draw():.0f}",
            "O3": f"{8 + 7 * sun + 14 * draw():.0f}",
            "TEMP": _short(temperature),
            "PRES": _short(1014 + 3 * draw()),
            "DEWP": _short(temperature - 3 - 4 * draw()),
            "RAIN": rain,
            "wd": _WIND[self._wind % 16],
            "WSPM": _short(0.6 + 3 * draw()),
        }

    def _rain(self) -> float:
        # A drizzle at least every sixth hour: a rain gauge at 0 all day would look frozen.
        wet = self._dry_hours == 5 or self._rnd.random() < 0.15
        self._dry_hours = 0 if wet else self._dry_hours + 1
        return 0.1 + 0.8 * self._rnd.random() if wet else 0.0


def _short(value: float) -> str:
    return f"{round(value, 1) + 0.0:g}"  # + 0.0 turns -0.0 into 0


def _put(column: str, hours: range, *values: str) -> Callable[[_Rows], None]:
    def fault(rows: _Rows) -> None:
        for nth, hour in enumerate(hours):
            rows[hour][_COLUMN[column]] = values[nth % len(values)]

    return fault


def _dust_inverted(rows: _Rows) -> None:
    for hour in (3, 4, 17):
        rows[hour][_COLUMN["PM2.5"]], rows[hour][_COLUMN["PM10"]] = "96", "71"


def _sent_again(rows: _Rows) -> None:
    rows[13:13] = [list(rows[12]), list(rows[12])]


def _cut_off(text: str) -> str:
    last_row = text.rindex("\n", 0, -1) + 1
    return text[: (last_row + len(text)) // 2]


# (days before the last one, station): what to say of the fault, and how to plant it in the rows.
_FAULTS: dict[tuple[int, str], tuple[str, Callable[[_Rows], None]]] = {
    (6, "Altmarkt"): ("CO is negative in hour 9.", _put("CO", range(9, 10), "-200")),
    (6, "Lindenhof"): ("the row of hour 23 says hour 24.", _put("hour", range(23, 24), "24")),
    (5, "Altmarkt"): (
        "the row of hour 12 was sent twice again, so it is there 3 times.",
        _sent_again,
    ),
    (5, "Seeufer"): ("PM2.5 is above PM10 in hours 3, 4 and 17.", _dust_inverted),
    (4, "Lindenhof"): (
        "PM10 is at its cap of 999 in hours 8 to 11.",
        _put("PM10", range(8, 12), "999"),
    ),
    (4, "Nordhafen"): ("SO2 is at its cap of 500 in hour 13.", _put("SO2", range(13, 14), "500")),
    (3, "Altmarkt"): ("O3 is frozen at 41 in hours 6 to 15.", _put("O3", range(6, 16), "41")),
    (2, "Nordhafen"): ("NO2 of hour 7 is not a number (n/a?).", _put("NO2", range(7, 8), "n/a?")),
}
