"""Where a check stands in the lineage, so that what fails downstream of a failure is told apart.

A place is a node of manifest.json, `feed:<feed>` for what a feed brings as a whole, `arrival` for
all of them, or, where the lineage knows no better, the dataset itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from monitors.alert.topics import Topic, topic_of
from monitors.lineage import Lineage, relation_of
from monitors.results import CheckResult

_MARTS = ("fact_", "fct_", "dim_")
"""Tables that people read are a place of their own."""
ARRIVAL = "arrival"
"""Above every feed: whether anybody loads anything."""

_GONE = re.compile(r'relation "([^"]+)" does not exist')
"""What Postgres says of a table or view that is not there."""
_STOPS_EVERYTHING = ("job.load", "job.build", "job.run")


def feed_place(feed: str) -> str:
    return f"feed:{feed}"


@dataclass(frozen=True)
class Places:
    """The lineage of dbt, and above it the feeds; `feeds`: {feed: its raw table}.

    Without a manifest only what a feed brings and equal datasets belong together.
    """

    lineage: Lineage = field(default_factory=lambda: Lineage({}))
    feeds: Mapping[str, str] = field(default_factory=dict)

    def of(self, result: CheckResult) -> str:
        """Where this check stands."""
        named = self._named_feed(result)
        if result.check_id.startswith(("job.load.", "landing.")) and named:
            return feed_place(named)
        if result.check_id in _STOPS_EVERYTHING:
            return ARRIVAL
        node = self.lineage.node_of(result.dataset)
        gone = _GONE.search(result.message)
        if gone and (missing := self.lineage.node_of(gone[1])):
            return missing  # the check stands elsewhere and reads it
        if topic_of(result) in (Topic.ERROR, Topic.MISSING) and node is not None:
            return node  # what it reads is broken or empty, wherever its feed stands
        if named and (node is None or len(self.feeds_above(node)) != 1):
            # a table that speaks of all feeds, asked about one of them
            return feed_place(named) if self._speaks_of_feeds(node) else node or result.dataset
        if topic_of(result) is Topic.ARRIVAL:
            return ARRIVAL
        return node or result.dataset

    def feed_of(self, result: CheckResult) -> str | None:
        """The one feed that this check is about, if there is one."""
        named = self._named_feed(result)
        above = self.feeds_above(self.lineage.node_of(result.dataset))
        return named or (next(iter(above)) if len(above) == 1 else None)

    def is_about_another_feed(self, result: CheckResult, other: CheckResult) -> bool:
        """A check of a table that speaks of all feeds, and another check of another feed."""
        ours, theirs = self.feed_of(result), self.feed_of(other)
        if ours is None or theirs is None or ours == theirs:
            return False
        return self._speaks_of_feeds(self.lineage.node_of(result.dataset))

    def is_below(self, place: str, other: str) -> bool:
        """Whether `other` is what `place` is made from, or both are one place."""
        return place == other or other in self.ancestors(place)

    def depth(self, place: str) -> int:
        """How many places it is made from; 0 is where data begin."""
        return len(self.ancestors(place))

    def ancestors(self, place: str | None) -> frozenset[str]:
        """Everything it is made from, feeds included."""
        if place is None or place == ARRIVAL:
            return frozenset()
        if place not in self._known:
            seen: set[str] = set()
            queue = [place]
            while queue:
                for parent in self._parents(queue.pop()):
                    if parent not in seen:
                        seen.add(parent)
                        queue.append(parent)
            self._known[place] = frozenset(seen)
        return self._known[place]

    def feeds_above(self, node: str | None) -> set[str]:
        """The feeds that a node is made from."""
        return {
            place.removeprefix("feed:")
            for place in self.ancestors(node)
            if place.startswith("feed:")
        }

    # ---------------------------------------------------------------- the pieces

    def _named_feed(self, result: CheckResult) -> str | None:
        """`attributes: feed:`, or the feed that its id begins with, or its suite is called by."""
        said = result.attributes.get("feed")
        if said in self.feeds:
            return str(said)
        check_id = result.check_id.removeprefix("job.load.").removeprefix("landing.")
        for feed in sorted(self.feeds, key=len, reverse=True):
            if check_id == feed or check_id.startswith((f"{feed}.", f"{feed}_")):
                return feed
        return result.suite_name if result.suite_name in self.feeds else None

    def _speaks_of_feeds(self, node: str | None) -> bool:
        """A store table, or a model over several feeds that is no mart."""
        if node is None or node.startswith("source."):
            return True
        relation = relation_of(self.lineage.nodes[node]).rsplit(".", 1)[-1]
        return len(self.feeds_above(node)) > 1 and not relation.startswith(_MARTS)

    @cached_property
    def _known(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def _feed_of_node(self) -> dict[str, str]:
        nodes = {self.lineage.node_of(table): feed for feed, table in self.feeds.items()}
        return {node: feed for node, feed in nodes.items() if node is not None}

    def _parents(self, place: str) -> Collection[str]:
        if place.startswith("feed:"):
            return (ARRIVAL,)
        found = self.lineage.parents(place)
        if place in self._feed_of_node:
            return (*found, feed_place(self._feed_of_node[place]))
        return found
