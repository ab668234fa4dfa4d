"""Metric families as text: what Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

PLAIN = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
MANY = 100
"""A family with more samples is written the fast way."""


def format_of(accept: str) -> str:
    """One of two formats, whatever a scraper asks for: the library trusts what it reads."""
    return OPENMETRICS if OPENMETRICS.partition(";")[0] in accept.lower() else PLAIN


def exposition(families: Sequence[Metric], text_format: str = PLAIN) -> tuple[str, bytes]:
    """(content type, text) in one of the formats of `format_of`."""
    encode, content_type = choose_encoder(text_format)
    many = [each for each in families if each.type == "gauge" and len(each.samples) > MANY]
    names = {each.name for each in many}
    registry = CollectorRegistry()
    registry.register(_Once([each for each in families if each.name not in names]))
    text = encode(registry)
    end = b"# EOF\n" if text.endswith(b"# EOF\n") else b""
    return content_type, text.removesuffix(end) + _gauges_as_text(many) + end


def number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


class _Once(Collector):
    """Families that were made already."""

    def __init__(self, made: Iterable[Metric]) -> None:
        self._made = made

    def collect(self) -> Iterable[Metric]:
        return self._made

    def describe(self) -> Iterable[Metric]:
        return ()


def _gauges_as_text(families: Iterable[Metric]) -> bytes:
    """As every text format of Prometheus writes gauges, several times faster than the library:
    labels that samples share are written once."""
    lines: list[str] = []
    written: dict[int, str] = {}
    for family in families:
        lines.append(f"# HELP {family.name} {family.documentation}\n# TYPE {family.name} gauge\n")
        for sample in family.samples:
            labels = written.get(id(sample.labels))
            if labels is None:
                labels = ",".join(f'{k}="{_escaped(v)}"' for k, v in sorted(sample.labels.items()))
                written[id(sample.labels)] = labels
            lines.append(f"{sample.name}{{{labels}}} {number(sample.value)}\n")
    return "".join(lines).encode()


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
