"""What a volume counts, in words: rows taken are other rows than what arrived."""

from __future__ import annotations

from dataclasses import dataclass

from monitors.config_volumes import Volume
from monitors.results import Layer
from monitors.store.pages import VolumeSeries


@dataclass(frozen=True, slots=True)
class Counting:
    """`label`: what a line of the chart is; `sentence`: the same with table, column and zone."""

    label: str
    sentence: str


def counting(
    series: VolumeSeries,
    volume: Volume | None,
    layer: str,
    *,
    is_raw: bool,
    segment: str = "",
) -> Counting:
    """`volume`: its block under `volumes:`; None when another project declared it.

    `is_raw`: the table is where a feed arrives.
    """
    if is_raw:
        what, where = "rows that arrived", "in"
        rest = "; those that a rule rejects are among them"
    elif layer == Layer.GOLD.value:
        what, where = "rows taken", "into"
        rest = "; those that a rule rejects are not among them" if series.feed else ""
    else:
        what, where, rest = "rows", "of", ""
    by = f" of `{volume.time}`" if volume else ""
    only = (
        f" where `{volume.segment}` is {segment}" if volume and volume.segment and segment else ""
    )
    return Counting(
        f"{what}, per {series.every}",
        f"Counted are {what} {where} `{series.dataset}`{only}, per {series.every}{by}{rest}.",
    )
