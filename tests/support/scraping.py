"""Reads an answer of metrics, as Prometheus does."""

from __future__ import annotations

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0, text/plain;q=0.5"}
"""The header with which Prometheus asks for OpenMetrics."""

Samples = dict[tuple[str, ...], float]


def read_families(text: str) -> dict[str, Metric]:
    """The families of an answer in OpenMetrics by name; raises ValueError for an answer that is not valid."""
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {family.name: family for family in families}


def read_samples(text: str, prefix: str = "") -> Samples:
    """The samples by name and values of labels, in the order of the labels' names."""
    return {
        (
            sample.name.removeprefix(prefix),
            *(value for _, value in sorted(sample.labels.items())),
        ): sample.value
        for family in read_families(text).values()
        for sample in family.samples
    }
