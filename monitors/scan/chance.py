"""How many alarms a set of checks raises by chance, and how sure anybody can be of a counted share.

Everything here is a formula of two or three numbers; no data, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

DAYS_A_MONTH = 365.25 / 12
_Z95 = 1.959964
"""The standard normal quantile of 97.5 %: all intervals hold 95 %."""
_PRIOR = 0.5
"""The shape that Jeffreys' prior gives a Poisson rate."""


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `tries`, with the interval that holds the true share in 95 of 100 cases."""

    hits: int
    tries: int

    @property
    def value(self) -> float | None:
        return self.hits / self.tries if self.tries else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson (1927); (0, 1) without a try."""
        if not self.tries:
            return 0.0, 1.0
        share, square = self.hits / self.tries, _Z95**2
        scale = 1 + square / self.tries
        middle = (share + square / (2 * self.tries)) / scale
        variance = share * (1 - share) / self.tries + square / (4 * self.tries**2)
        half = _Z95 * math.sqrt(variance) / scale
        low = 0.0 if self.hits == 0 else middle - half
        return low, 1.0 if self.hits == self.tries else middle + half


@dataclass(frozen=True, slots=True)
class AlarmRate:
    """Alarms that were counted on a clean history of so many months."""

    alarms: int
    months: float

    @property
    def per_month(self) -> float:
        """As counted."""
        return self.alarms / self.months

    @property
    def interval(self) -> tuple[float, float]:
        """Per month, in 95 of 100 cases: the equal-tailed Jeffreys interval of a Poisson rate."""
        shape = self.alarms + _PRIOR
        low = 0.0 if self.alarms == 0 else gamma_quantile(shape, 0.025)
        return low / self.months, gamma_quantile(shape, 0.975) / self.months


@dataclass(frozen=True, slots=True)
class AlarmBudget:
    """Alarms that a set of checks is expected to raise by chance."""

    per_month: float
    """Of the checks whose rate is known."""
    low: float
    high: float
    known: int
    unknown: int
    """Checks whose history is too short to say: they come on top."""

    @property
    def days_between(self) -> float | None:
        return DAYS_A_MONTH / self.per_month if self.per_month else None


def expected_alarms(rates: Iterable[AlarmRate | None]) -> AlarmBudget:
    """What the set raises in a month by chance; None stands for a check of unknown rate.

    The expectation of each rate under Jeffreys' prior, summed. The prior is that of one rate,
    spread evenly over the set: half an alarm for each of a hundred quiet checks would say fifty
    where none was ever seen. The interval takes the sum for gamma distributed (two moments).
    """
    rates = list(rates)
    known = [rate for rate in rates if rate is not None]
    unknown = len(rates) - len(known)
    if not known:
        return AlarmBudget(0.0, 0.0, 0.0, 0, unknown)
    prior = _PRIOR / len(known)
    mean = sum((rate.alarms + prior) / rate.months for rate in known)
    variance = sum((rate.alarms + prior) / rate.months**2 for rate in known)
    shape, scale = mean**2 / variance, variance / mean
    low = 0.0 if not any(rate.alarms for rate in known) else gamma_quantile(shape, 0.025) * scale
    return AlarmBudget(mean, low, gamma_quantile(shape, 0.975) * scale, len(known), unknown)


def gamma_quantile(shape: float, probability: float) -> float:
    """The value below which a gamma variable of scale 1 lies with that probability."""
    high = shape + 10 * math.sqrt(shape) + 10
    return _root(lambda value: _gamma_share_below(shape, value) - probability, 0.0, high)


def _gamma_share_below(shape: float, value: float) -> float:
    """The regularised lower incomplete gamma function, by its power series."""
    if value <= 0:
        return 0.0
    term = total = 1 / shape
    divisor = shape
    while term > total * 1e-15:
        divisor += 1
        term *= value / divisor
        total += term
    return total * math.exp(shape * math.log(value) - value - math.lgamma(shape))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2
