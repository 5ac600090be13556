"""What Prometheus is told: requests, rows, seconds, and how the scores lie."""

from __future__ import annotations

from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from open_nsfw.rows.row import Row
from open_nsfw.service.decisions import Decision, Judge
from open_nsfw.version import __version__

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
STEPS = tuple(step / 20 for step in range(1, 20))  # between bins of scores, where no policy has any
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The numbers of one service."""

    def __init__(self, judge: Judge, model: str) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._requests = Counter("open_nsfw_requests", "Requests answered.", ["path", "status"], registry=registry)
        self._rows = Counter("open_nsfw_rows", "Rows answered.", ["decision", "verdict"], registry=registry)
        self._errors = Counter("open_nsfw_row_errors", "Rows without a score.", ["code"], registry=registry)
        self._stages = Histogram(
            "open_nsfw_stage_seconds",
            "Seconds that a stage takes: body (of a request, to be read), queue (of a file, until its turn), work (of a file, "
            "to be decoded and scored), request (all of it).",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self._reloads = Counter("open_nsfw_reloads", "Policies and keys read anew.", ["result"], registry=registry)
        info = Gauge("open_nsfw_info", "What runs.", ["version", "model"], registry=registry)
        info.labels(__version__, model).set(1)
        self._scores: Histogram | None = None
        self._edges: tuple[float, ...] = ()
        self.use(judge)

    def use(self, judge: Judge) -> None:
        """Count scores between the edges of this policy from now on: the count begins anew where these are others."""
        kept = [] if judge.policy is None else judge.policy.scores.get("edges", [])
        edges = tuple(sorted({*(kept or STEPS), *judge.thresholds} - {0.0, 1.0}))
        if edges == self._edges:
            return
        if self._scores is not None:
            self._registry.unregister(self._scores)
        self._edges = edges
        text = "Scores of pictures, animations and films. `open-nsfw policy check` reads it."
        self._scores = Histogram("open_nsfw_score", text, buckets=(*edges, 1.0), registry=self._registry)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A number that is read when it is asked for."""
        Gauge(name, text, registry=self._registry).set_function(value)

    def add_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that is over."""
        self._requests.labels(path, str(status)).inc()
        self.add_seconds("request", seconds)

    def add_row(self, row: Row, decision: Decision) -> None:
        """Count a row."""
        self._rows.labels(decision.value, row.verdict or "").inc()
        if row.error is not None:
            self._errors.labels(row.error.partition(":")[0]).inc()
        if row.score is not None and row.kind != "frame" and self._scores is not None:
            self._scores.observe(row.score)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Count what a stage took."""
        self._stages.labels(stage).observe(seconds)

    def add_reload(self, is_good: bool) -> None:
        """Count a policy or keys that were read anew."""
        self._reloads.labels("good" if is_good else "bad").inc()

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return bytes(generate_latest(self._registry))


def known_path(path: str, known: Collection[str]) -> str:
    """A path as a label: strangers ask for any, and each label is kept for ever."""
    return path if path in known else "other"
