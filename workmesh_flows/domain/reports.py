"""Reports of lanes, assignments and moves, in numbers that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from workmesh_flows.domain.lane_figures import figures_in_words
from workmesh_flows.errors import ConservationError

SHOWN = 20
"""Number of reasons that a report keeps; all reasons are in the records' flags."""


NAMED = 5
"""Number of entities or nodes with the same reason that a line names."""


def counted(number: int, word: str, plural: str = "") -> str:
    """A number with its word: ``1 record``, ``2,000 records``."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def first_reason(reasons: Sequence[tuple[Any, str]]) -> str:
    """The reason that all keys share, or the first key with its reason; to append to the number of keys."""
    if not reasons:
        return ""
    key, reason = reasons[0]
    return f": {reason}" if len({why for _, why in reasons}) == 1 else f", for example {key}: {reason}"


def excluded_in_words(excluded: Mapping[str, str]) -> str:
    """Which nodes get no new entities and why, as the end of a sentence; empty if there are none."""
    by_reason: dict[str, list[str]] = {}
    for node, reason in excluded.items():
        by_reason.setdefault(reason, []).append(node)
    return "".join(
        f"; {_named(nodes)} {'gets' if len(nodes) == 1 else 'get'} no entities: {reason}"
        for reason, nodes in by_reason.items()
    )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


@dataclass(frozen=True, slots=True)
class PushReport:
    """The push of one lane in one run: ``selected`` = ``pushed`` + ``refused`` + ``parked`` + ``waiting``.

    ``refused`` records are sent again by the next push. ``parked`` records were refused for the last time.
    ``waiting`` records wait behind a refused or parked record, or for a record that they depend on, or the lane
    stopped before them.
    ``not_reached`` records are pending too, but the run reached its limits before them.
    """

    protocol: str
    node: str
    selected: int = 0
    pushed: int = 0
    refused: int = 0
    parked: int = 0
    waiting: int = 0
    not_reached: int = 0
    seconds: float = 0.0
    reasons: Mapping[str, str] = field(default_factory=dict)

    def after(self, earlier: PushReport) -> PushReport:
        """Merge with the report of an earlier attempt of the run, whose finished records count too."""
        pushed, parked = earlier.pushed + self.pushed, earlier.parked + self.parked
        refused = earlier.refused + self.refused  # a run sends each of them once
        return replace(
            self,
            selected=pushed + refused + parked + self.waiting,
            pushed=pushed,
            refused=refused,
            parked=parked,
            seconds=earlier.seconds + self.seconds,
            reasons={**earlier.reasons, **self.reasons},
        )

    @property
    def figures(self) -> dict[str, int]:
        """The numbers of records by outcome, for the table of lanes and for events."""
        return {
            "pushed": self.pushed,
            "refused": self.refused,
            "parked": self.parked,
            "waiting": self.waiting,
            "not_reached": self.not_reached,
        }

    def __str__(self) -> str:
        """One line for people."""
        rest = figures_in_words("push", self.figures)
        return f"{self.protocol} to {self.node}: pushed {self.pushed:,} of {self.selected:,}{rest}"


@dataclass(frozen=True, slots=True)
class PullReport:
    """The pull of one lane in one run: ``selected`` = ``pulled`` + ``failed`` + ``in_flight``.

    The node could not process ``failed`` records. The results of ``in_flight`` records are not ready yet, or the lane
    stopped before them.

    ``note`` is why no results were requested, if that is not obvious.
    """

    protocol: str
    node: str
    selected: int = 0
    pulled: int = 0
    failed: int = 0
    in_flight: int = 0
    seconds: float = 0.0
    reasons: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def after(self, earlier: PullReport) -> PullReport:
        """Merge with the report of an earlier attempt of the run, whose finished records count too."""
        pulled = earlier.pulled + self.pulled
        return replace(
            self,
            selected=pulled + self.failed + self.in_flight,
            pulled=pulled,
            seconds=earlier.seconds + self.seconds,
            reasons={**earlier.reasons, **self.reasons},
        )

    @property
    def figures(self) -> dict[str, int]:
        """The numbers of records by outcome, for the table of lanes and for events."""
        return {"pulled": self.pulled, "failed": self.failed, "in_flight": self.in_flight}

    def __str__(self) -> str:
        """One line for people."""
        rest = figures_in_words("pull", self.figures)
        note = f" ({self.note})" if self.note else ""
        return f"{self.protocol} from {self.node}: pulled {self.pulled:,} of {self.selected:,}{rest}{note}"


@dataclass(slots=True)
class Tally:
    """The counts of a lane while it runs: ``selected`` = ``succeeded`` + ``failed`` + ``parked`` + ``undecided``.

    ``failed`` records were refused by a push, or could not be processed before a pull. ``undecided`` records are
    waiting (push) or in flight (pull). ``not_reached`` are the records that the run may still read. Records that were
    added after the run started are left to the next run, so that every run ends.
    """

    selected: int = 0
    succeeded: int = 0
    failed: int = 0
    parked: int = 0
    undecided: int = 0
    not_reached: int = 0
    reasons: dict[str, str] = field(default_factory=dict)

    def add_failed(self, reasons: Mapping[Any, str], *, parked: int = 0) -> None:
        """Count refused or failed records, ``parked`` of them for the last time; keep the first reasons."""
        self.failed += len(reasons) - parked
        self.parked += parked
        for record_id, reason in list(reasons.items())[: SHOWN - len(self.reasons)]:
            self.reasons[str(record_id)] = reason

    @property
    def decided(self) -> int:
        """Number of records that succeeded, failed or were parked."""
        return self.succeeded + self.failed + self.parked

    def stop(self) -> None:
        """The lane stopped: selected records that are not decided yet count as undecided."""
        self.undecided = self.selected - self.decided

    def check(self, lane: str) -> None:
        """Raise ConservationError if the counts do not add up."""
        if self.selected != self.decided + self.undecided:
            raise ConservationError(
                f"lane {lane}: {self.selected} records were selected, but {self.succeeded} succeeded + "
                f"{self.failed} failed + {self.parked} parked + {self.undecided} undecided make "
                f"{self.decided + self.undecided}; please report this as a bug"
            )


@dataclass(frozen=True, slots=True)
class AssignReport:
    """One assignment: entities assigned to each node, and entities that could not be assigned, and why.

    ``excluded`` are the nodes that got no entities because a check found that they do not work, with the reason.
    """

    service: str
    assigned: Mapping[str, int] = field(default_factory=dict)
    unassigned: int = 0
    reasons: Sequence[tuple[str, str]] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Number of entities that were assigned."""
        return sum(self.assigned.values())

    def __str__(self) -> str:
        """One line for people."""
        nodes = ", ".join(f"{node} {count:,}" for node, count in sorted(self.assigned.items()))
        why = first_reason(self.reasons)
        rest = f"; {self.unassigned:,} could not be assigned{why}" if self.unassigned else ""
        word = "entity" if self.total == 1 else "entities"
        return (
            f"assigned {self.total:,} {word}"
            + (f" ({nodes})" if nodes else "")
            + rest
            + excluded_in_words(self.excluded)
        )


@dataclass(frozen=True, slots=True)
class MoveReport:
    """One hand-over from one node: ``selected`` = ``moved`` + ``skipped`` + ``not_moved`` entities.

    ``skipped`` entities are no longer assigned to the source, or no longer fit on their target; ``reasons``
    gives why. ``not_moved`` entities were not reached. ``records_to_push`` is the number of records that will be
    pushed again, ``targets`` the number of entities that each node received. ``note`` is why the hand-over did not
    wait for all results, or did not move all entities.
    """

    service: str
    source: str
    selected: int = 0
    moved: int = 0
    skipped: int = 0
    not_moved: int = 0
    records_to_push: int = 0
    targets: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    reasons: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        """Raise ConservationError if the counts do not add up."""
        if self.selected != self.moved + self.skipped + self.not_moved:
            raise ConservationError(
                f"{self.service}: {self.selected} entities were to leave {self.source}, but {self.moved} moved + "
                f"{self.skipped} skipped + {self.not_moved} not moved make "
                f"{self.moved + self.skipped + self.not_moved}; please report this as a bug"
            )

    def __str__(self) -> str:
        """One line for people."""
        rest = "".join(
            f", {n:,} {what}"
            for n, what in (
                (self.skipped, "skipped"),
                (self.not_moved, "not moved"),
                (self.records_to_push, "records to push again"),
            )
            if n
        )
        note = f" ({self.note})" if self.note else ""
        to = ", ".join(f"{node} {count:,}" for node, count in sorted(self.targets.items()))
        to = f" ({to})" if to else ""
        return f"from {self.source}: moved {self.moved:,} of {self.selected:,} entities{to}{rest}{note}"
