"""What Prometheus reads at `/metrics`: requests as they were answered, and the house as it stands when it is asked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backend.store import jobs, references
from backend.store.db import Store
from unskew import __version__

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The series of one application; two in one process do not mix."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route")
        self._answers = Counter("unskew_requests", "Requests answered.", (*labels, "status"), registry=self._registry)
        self._seconds = Histogram(
            "unskew_request_seconds", "Time to answer.", labels, buckets=BUCKETS, registry=self._registry
        )
        self._registry.register(House(store))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        self._answers.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)


class House(Collector):
    """Gauges that are asked of the database: nothing here runs between two scrapes."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def collect(self) -> Iterator[Metric]:
        with self.store.read() as session:
            counted, workers = jobs.counts(session), jobs.live_slots(session)
            sizes = references.size_by_kind(session)
        info = GaugeMetricFamily("unskew_info", "What runs here; the value is always 1.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        found = GaugeMetricFamily("unskew_jobs", "Jobs by what they are and how they stand.", labels=["kind", "status"])
        for (kind, status), n in counted.items():
            found.add_metric([kind, status], n)
        yield found
        yield GaugeMetricFamily("unskew_workers", "Workers that beat lately.", value=len(workers))
        stored = GaugeMetricFamily("unskew_artifact_bytes", "Bytes of artifacts by kind.", labels=["kind"])
        for kind, size in sizes.items():
            stored.add_metric([kind], size)
        yield stored
        disk = shutil.disk_usage(self.store.data)
        yield GaugeMetricFamily("unskew_disk_free_bytes", "Free on the data folder's disk.", value=disk.free)
        yield GaugeMetricFamily("unskew_disk_bytes", "Size of the data folder's disk.", value=disk.total)

    def describe(self) -> list[Metric]:
        """Without this, registering would ask the database."""
        return []
