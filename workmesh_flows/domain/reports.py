"""What was done, in numbers that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from workmesh_flows.domain.lane_figures import figures_in_words
from workmesh_flows.errors import ConservationError

SHOWN = 20
"""Reasons a report keeps; the rest stand in the flags."""


def first_reason(reasons: Sequence[tuple[Any, str]]) -> str:
    """The reason of all, or that of the first with its name: to follow how many there are."""
    if not reasons:
        return ""
    key, reason = reasons[0]
    return f": {reason}" if len({why for _, why in reasons}) == 1 else f", {key} for one: {reason}"


@dataclass(frozen=True, slots=True)
class PushReport:
    """One run over one lane: ``selected`` = ``pushed`` + ``refused`` + ``parked`` + ``left``.

    ``refused`` are tried again, ``parked`` were refused for the last time and are set aside, ``left`` wait behind a
    refused one or for the record that they follow. ``unread`` were pending too, and the run's bounds did not let it
    come to them.
    """

    protocol: str
    node: str
    selected: int = 0
    pushed: int = 0
    refused: int = 0
    parked: int = 0
    left: int = 0
    unread: int = 0
    seconds: float = 0.0
    reasons: Mapping[str, str] = field(default_factory=dict)

    def after(self, earlier: PushReport) -> PushReport:
        """Both tries of a run as one: what the earlier one finished counts, what it left is this one's."""
        pushed, parked = earlier.pushed + self.pushed, earlier.parked + self.parked
        return replace(
            self,
            selected=pushed + parked + self.refused + self.left,
            pushed=pushed,
            parked=parked,
            seconds=earlier.seconds + self.seconds,
            reasons={**earlier.reasons, **self.reasons},
        )

    @property
    def figures(self) -> dict[str, int]:
        """The columns of a lane in the table of lanes, for a push."""
        return {
            "done": self.pushed,
            "refused": self.refused,
            "parked": self.parked,
            "left": self.left,
            "unread": self.unread,
        }

    def __str__(self) -> str:
        """One line for people."""
        rest = figures_in_words("push", self.figures)
        return f"{self.protocol} to {self.node}: pushed {self.pushed:,} of {self.selected:,}{rest}"


@dataclass(frozen=True, slots=True)
class PullReport:
    """One run over one lane: ``selected`` = ``pulled`` + ``failed`` + ``left`` (not ready on the node).

    ``note`` says why nothing was asked for, where that needs saying.
    """

    protocol: str
    node: str
    selected: int = 0
    pulled: int = 0
    failed: int = 0
    left: int = 0
    seconds: float = 0.0
    reasons: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def after(self, earlier: PullReport) -> PullReport:
        """Both tries of a run as one: what the earlier one finished counts, what it left is this one's."""
        pulled = earlier.pulled + self.pulled
        return replace(
            self,
            selected=pulled + self.failed + self.left,
            pulled=pulled,
            seconds=earlier.seconds + self.seconds,
            reasons={**earlier.reasons, **self.reasons},
        )

    @property
    def figures(self) -> dict[str, int]:
        """The columns of a lane in the table of lanes, for a pull."""
        return {"done": self.pulled, "refused": self.failed, "parked": 0, "left": self.left, "unread": 0}

    def __str__(self) -> str:
        """One line for people."""
        rest = figures_in_words("pull", self.figures)
        note = f" ({self.note})" if self.note else ""
        return f"{self.protocol} from {self.node}: pulled {self.pulled:,} of {self.selected:,}{rest}{note}"


@dataclass(slots=True)
class Tally:
    """The figures of a lane while it is worked.

    ``unread`` are the records that the run may still look at: those that came after it began are the next run's, so
    that each run ends.
    """

    selected: int = 0
    done: int = 0
    bad: int = 0
    parked: int = 0
    left: int = 0
    unread: int = 0
    reasons: dict[str, str] = field(default_factory=dict)

    def refuse(self, reasons: Mapping[Any, str], *, parked: int = 0) -> None:
        """Count records that were refused or failed, so many of them for good, and keep the first few reasons."""
        self.bad += len(reasons) - parked
        self.parked += parked
        for record_id, reason in list(reasons.items())[: SHOWN - len(self.reasons)]:
            self.reasons[str(record_id)] = reason

    @property
    def decided(self) -> int:
        """Records that were done, refused or set aside."""
        return self.done + self.bad + self.parked

    def stop(self) -> None:
        """The work stopped: what was selected and not decided is left."""
        self.left = self.selected - self.decided

    def check(self, lane: str) -> None:
        """Raise ConservationError where the figures do not add up."""
        if self.selected != self.decided + self.left:
            raise ConservationError(
                f"lane {lane}: {self.selected} records were selected, but {self.done} done + {self.bad} refused + "
                f"{self.parked} set aside + {self.left} left make {self.decided + self.left}; please report this as a bug"
            )


@dataclass(frozen=True, slots=True)
class AssignReport:
    """One assignment run: how many entities went to which node, and which fit nowhere, with reasons."""

    service: str
    assigned: Mapping[str, int] = field(default_factory=dict)
    unassigned: int = 0
    reasons: Sequence[tuple[str, str]] = ()

    @property
    def total(self) -> int:
        """Entities that were given a node."""
        return sum(self.assigned.values())

    def __str__(self) -> str:
        """One line for people."""
        nodes = ", ".join(f"{node} {count:,}" for node, count in sorted(self.assigned.items()))
        why = first_reason(self.reasons)
        fit = "fits" if self.unassigned == 1 else "fit"
        rest = f"; {self.unassigned:,} {fit} nowhere{why}" if self.unassigned else ""
        word = "entity" if self.total == 1 else "entities"
        return f"assigned {self.total:,} {word}" + (f" ({nodes})" if nodes else "") + rest


@dataclass(frozen=True, slots=True)
class MoveReport:
    """One hand-over from one node: ``selected`` = ``moved`` + ``skipped`` + ``left`` entities.

    ``skipped`` are no more where the plan had them, or fit no more where it wanted them, with reasons; ``left`` were
    not come to. ``again`` are the records that will be pushed again, ``targets`` says how many entities each node got,
    ``note`` why not all results were waited for, or why not all was done.
    """

    service: str
    source: str
    selected: int = 0
    moved: int = 0
    skipped: int = 0
    left: int = 0
    again: int = 0
    targets: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    reasons: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        """Raise ConservationError where the figures do not add up."""
        if self.selected != self.moved + self.skipped + self.left:
            raise ConservationError(
                f"{self.service}: {self.selected} entities were to leave {self.source}, but {self.moved} moved + "
                f"{self.skipped} skipped + {self.left} left make {self.moved + self.skipped + self.left}; "
                "please report this as a bug"
            )

    def __str__(self) -> str:
        """One line for people."""
        rest = "".join(
            f", {n:,} {what}"
            for n, what in (
                (self.skipped, "skipped"),
                (self.left, "left"),
                (self.again, "records to push again"),
            )
            if n
        )
        note = f" ({self.note})" if self.note else ""
        to = ", ".join(f"{node} {count:,}" for node, count in sorted(self.targets.items()))
        to = f" ({to})" if to else ""
        return f"from {self.source}: moved {self.moved:,} of {self.selected:,} entities{to}{rest}{note}"
