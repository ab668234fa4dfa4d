"""Which checks are expected to report: not those of an optional feed that has never come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from monitors.results import CheckResult


def without_never_delivered(
    results: Iterable[CheckResult], feeds: Collection[str]
) -> tuple[list[CheckResult], tuple[tuple[str, int], ...]]:
    """(results that count, (feed, how many of its checks were left out) for each of `feeds`).

    A check belongs to a feed by its attribute `feed`. Of a feed that may stay away and always has,
    no check can say anything: `missing` would be red for a want of data that is allowed.
    """
    kept: list[CheckResult] = []
    left_out: Counter[str] = Counter()
    for each in results:
        feed = each.attributes.get("feed")
        if feed in feeds:
            left_out[str(feed)] += 1
        else:
            kept.append(each)
    return kept, tuple(sorted(left_out.items()))
