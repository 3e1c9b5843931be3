"""What the service counts, for Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from twin.decisions import Verdict
from twin.state import LinkState


class Metrics:
    """One registry a service, so that two services in one process do not share their numbers."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.messages = Counter("twin_messages", "Messages by what became of them", ["verdict"], registry=registry)
        self.quarantined = Counter("twin_quarantined", "Messages put into quarantine", ["reason"], registry=registry)
        self.dropped = Gauge("twin_dropped_unsure", "QoS 0 messages dropped because too many waited", registry=registry)
        self.commits = Histogram(
            "twin_commit_seconds",
            "Time to store a batch",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=registry,
        )
        self.commit_failures = Counter("twin_commit_failures", "Attempts to store that failed", registry=registry)
        self.refolds = Counter("twin_ledger_refolds", "Ledgers computed anew for late messages", registry=registry)
        self.waiting = Gauge("twin_inbox_messages", "Messages received but not stored yet", registry=registry)
        self.lag = Gauge("twin_inbox_lag_seconds", "Age of the oldest message not stored yet", registry=registry)
        self.behind = Gauge("twin_behind_seconds", "How far the rules' present is behind", registry=registry)
        self.commands = Gauge("twin_commands_waiting", "Commands that no controller has answered", registry=registry)
        self.expired = Gauge("twin_commands_expired", "Commands that nobody ever answered", registry=registry)
        self.broker_up = Gauge("twin_broker_up", "1 while connected to the broker", registry=registry)
        self.broker_losses = Counter("twin_broker_losses", "Connections to the broker lost", registry=registry)
        self.database_up = Gauge("twin_database_up", "1 while the last attempt to store succeeded", registry=registry)
        self.twins = Gauge("twin_twins", "Twins by state of their link", ["link"], registry=registry)

        self._verdicts = {verdict: self.messages.labels(verdict.value) for verdict in Verdict}

    def count(self, verdicts: Mapping[Verdict, int]) -> None:
        """So many more messages of which this became."""
        for verdict, messages in verdicts.items():
            self._verdicts[verdict].inc(messages)

    def set_links(self, links: Mapping[LinkState, int]) -> None:
        """How many twins' links are in which state."""
        for state in LinkState:
            self.twins.labels(state.value).set(links.get(state, 0))

    def text(self) -> bytes:
        """All numbers in Prometheus' text format."""
        return generate_latest(self.registry)
