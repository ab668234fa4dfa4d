"""What depends on what in a dbt project, from its manifest.json: ancestors, culprits, exposures."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from monitors.owners import Owner

Node = Mapping[str, Any]
"""A node as manifest.json has it."""
_SECTIONS = (
    "nodes", "sources", "exposures", "unit_tests", "metrics", "semantic_models", "saved_queries",
    "functions",
)  # fmt: skip
TESTS = ("test", "unit_test")
"""Resource types that claim something and that nothing can be built from."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Who reads what the project builds: a dashboard, an application, a report."""

    name: str
    owner: str | None
    kind: str
    url: str | None = None

    def as_dict(self) -> dict[str, str]:
        pairs = (("name", self.name), ("owner", self.owner), ("kind", self.kind), ("url", self.url))
        return {key: value for key, value in pairs if value}


class Lineage:
    """The graph of a manifest. Nodes are named by dbt's unique_id; an unknown one has no edges."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self.nodes: dict[str, Node] = {}
        for section in _SECTIONS:
            self.nodes.update(manifest.get(section) or {})
        self._groups: dict[str, Node] = {
            group["name"]: group for group in (manifest.get("groups") or {}).values()
        }
        self._parents = {
            unique_id: tuple((node.get("depends_on") or {}).get("nodes") or ())
            for unique_id, node in self.nodes.items()
        }

    # ---------------------------------------------------------------- the graph

    def parents(self, unique_id: str) -> tuple[str, ...]:
        """What a node reads directly, in the manifest's order."""
        return self._parents.get(unique_id, ())

    def children(self, unique_id: str) -> tuple[str, ...]:
        """What reads a node directly: models, tests, exposures."""
        return tuple(self._children.get(unique_id, ()))

    def ancestors(self, unique_id: str) -> list[str]:
        """Everything a node is made from, the nearest first."""
        return _walk(unique_id, self._parents)

    def descendants(self, unique_id: str) -> list[str]:
        """Everything made from a node, with tests and exposures, the nearest first."""
        return _walk(unique_id, self._children)

    def first_failing_ancestor(self, unique_id: str, failed: Collection[str]) -> str | None:
        """The nearest ancestor that is among the failed, or a failed test on one; or None."""
        return self.blame(failed).get(unique_id)

    def blame(
        self, failed: Collection[str], through: Collection[str] | None = None
    ) -> dict[str, str]:
        """{unique_id: its first failing ancestor}, for all nodes in one walk down the graph.

        A failed test blocks, as in `dbt build`, whatever is made from all that it looks at. With
        `through` the walk goes on only below these nodes: those that were skipped themselves.
        Failed nodes have no culprit but themselves and are not in the answer.
        """
        culprits: dict[str, str] = {}
        queue: deque[tuple[str, str]] = deque()
        for unique_id in sorted(failed, key=self._is_test):
            queue.extend((child, unique_id) for child in self._blocked_by(unique_id))
        while queue:
            unique_id, culprit = queue.popleft()
            if unique_id in culprits or unique_id in failed:
                continue
            culprits[unique_id] = culprit
            if through is None or unique_id in through:
                queue.extend((child, culprit) for child in self._children.get(unique_id, ()))
        return culprits

    # ---------------------------------------------------------------- what a node carries

    def node_of(self, relation: str) -> str | None:
        """The node that a relation belongs to: `schema.table`, `database.schema.table`, quoted."""
        parts = relation.replace('"', "").lower().split(".")
        return self._relations.get(".".join(parts[-2:]))

    def exposures_of(self, unique_id: str) -> tuple[Exposure, ...]:
        """Who reads a node, directly or through other nodes; of a test: who reads what it tests."""
        if not self._is_test(unique_id):
            return self._exposures.get(unique_id, ())
        tested = [self._exposures.get(each, ()) for each in self.parents(unique_id)]
        if len(tested) == 1:
            return tested[0]
        return tuple(dict.fromkeys(each for exposures in tested for each in exposures))

    def exposures_of_relation(self, relation: str) -> tuple[Exposure, ...]:
        """Who reads a relation (see node_of); nobody when dbt does not know it."""
        unique_id = self.node_of(relation)
        return self.exposures_of(unique_id) if unique_id else ()

    def checksum(self, unique_id: str) -> str | None:
        """Of the node's file; another one than yesterday says that the code changed."""
        found = (self.nodes.get(unique_id, {}).get("checksum") or {}).get("checksum")
        return str(found) if found else None

    def owner(self, unique_id: str) -> Owner | None:
        """Whose it is: meta.owner, else the group's owner, else that of the first exposure below.

        A test without an owner of its own belongs to whoever owns the first node that it tests;
        who only reads is asked last.
        """
        node = self.nodes.get(unique_id, {})
        own = _name_of(meta_of(node).get("owner"))
        if own or not self._is_test(unique_id):
            name = own or self._group_owner(node)
            return Owner(name) if name else self._reader(unique_id)
        attached = node.get("attached_node")
        tested = [str(attached)] if attached else list(self.parents(unique_id))
        found = [owner for owner in map(self.owner, tested) if owner]
        return min(found, key=lambda owner: owner.is_reader, default=None)

    def owner_of_relation(self, relation: str) -> Owner | None:
        """Whose a relation is (see node_of); nobody's when dbt does not know it."""
        unique_id = self.node_of(relation)
        return self.owner(unique_id) if unique_id else None

    # ---------------------------------------------------------------- the pieces

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        children: dict[str, list[str]] = {}
        for unique_id, parents in self._parents.items():
            for parent in parents:
                children.setdefault(parent, []).append(unique_id)
        return children

    @cached_property
    def _relations(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for unique_id, node in self.nodes.items():
            if node.get("schema") and node.get("resource_type") not in TESTS:
                found.setdefault(relation_of(node).lower(), unique_id)
        return found

    @cached_property
    def _exposures(self) -> dict[str, tuple[Exposure, ...]]:
        """Of every node. From the readers up, a bit for each exposure; who shares them shares the
        tuple. What stands in a circle has none."""
        known = [
            unique_id
            for unique_id, node in self.nodes.items()
            if node.get("resource_type") == "exposure"
        ]
        bits = {unique_id: 1 << number for number, unique_id in enumerate(known)}
        below: dict[str, int] = {}
        waits_for = {unique_id: len(self.children(unique_id)) for unique_id in self.nodes}
        ready = deque(unique_id for unique_id, number in waits_for.items() if not number)
        while ready:
            unique_id = ready.popleft()
            mask = below.get(unique_id, 0) | bits.get(unique_id, 0)
            for parent in self.parents(unique_id):
                below[parent] = below.get(parent, 0) | mask
                waits_for[parent] = waits_for.get(parent, 0) - 1
                if not waits_for[parent]:
                    ready.append(parent)
        exposures = [_exposure(self.nodes[unique_id]) for unique_id in known]
        of_mask = {
            mask: tuple(each for number, each in enumerate(exposures) if mask >> number & 1)
            for mask in set(below.values())
        }
        return {unique_id: of_mask[mask] for unique_id, mask in below.items()}

    def _blocked_by(self, unique_id: str) -> Iterable[str]:
        if not self._is_test(unique_id):
            return self.children(unique_id)
        parents = self.parents(unique_id)
        below = {
            child
            for parent in parents
            for child in self.children(parent)
            if not self._is_test(child)
        }
        if len(parents) > 1:
            below = {child for child in below if set(parents) <= set(self.ancestors(child))}
        return sorted(below)

    def _is_test(self, unique_id: str) -> bool:
        return self.nodes.get(unique_id, {}).get("resource_type") in TESTS

    def _group_owner(self, node: Node) -> str | None:
        group = node.get("group") or (node.get("config") or {}).get("group")
        return _name_of(self._groups.get(str(group), {}).get("owner"))

    def _reader(self, unique_id: str) -> Owner | None:
        names = (each.owner for each in self.exposures_of(unique_id) if each.owner)
        name = next(names, None)
        return Owner(name, is_reader=True) if name else None


def _exposure(node: Node) -> Exposure:
    return Exposure(
        name=str(node.get("label") or node.get("name")),
        owner=_name_of(node.get("owner")),
        kind=str(node.get("type") or "exposure"),
        url=node.get("url"),
    )


def relation_of(node: Node) -> str:
    """`schema.table` of a node; its name where it has no schema."""
    name = node.get("identifier") or node.get("alias") or node.get("name") or "dbt"
    return f"{node['schema']}.{name}" if node.get("schema") else str(name)


def meta_of(node: Node) -> Mapping[str, Any]:
    """`meta` of a node, wherever it was written."""
    return {**(node.get("meta") or {}), **((node.get("config") or {}).get("meta") or {})}


def _walk(start: str, edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Breadth first, without the start."""
    seen = {start}
    found: list[str] = []
    queue = deque(edges.get(start, ()))
    while queue:
        unique_id = queue.popleft()
        if unique_id not in seen:
            seen.add(unique_id)
            found.append(unique_id)
            queue.extend(edges.get(unique_id, ()))
    return found


def _name_of(owner: Any) -> str | None:
    """People write a name, a list of names, or dbt's mapping of name and email."""
    if isinstance(owner, Mapping):
        owner = owner.get("name") or owner.get("email")
    if isinstance(owner, list | tuple):
        owner = ", ".join(str(each) for each in owner)
    return str(owner) if owner else None
