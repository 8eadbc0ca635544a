"""The failpoints of the sweep: each durable write, each commit and each request of the situation.

The last pushes of the situation are those of replayed records.

A new failpoint fails `test_an_undisturbed_master_passes_every_failpoint_of_the_sweep` until it is added here.
"""

from __future__ import annotations

from collections.abc import Iterator

READ = ("done",)
WRITTEN = ("before", "done")
STARTED = ("before",)
SENT = ("not sent", "half sent", "sent", "answered", "read")
READ_ONLY = ("not sent", "answered")


def _named(step: str, moments: tuple[str, ...], *actions: str) -> Iterator[str]:
    return (f"{step}: {action}, {moment}" for action in actions for moment in moments)


COMMON = (
    *_named(
        "push delivery",
        READ,
        "count pending records",
        "read a page",
    ),
    *_named(
        "push delivery",
        STARTED,
        "release the lane",
        "save a failure",
        "save the batch limit",
        "acquire the lane",
    ),
    *_named(
        "push delivery",
        WRITTEN,
        "advance the lane",
        "commit (advance the lane + flag as pushed or refused + delete refusals + save refusals)",
        "commit (advance the lane + flag as pushed or refused + delete refusals + delete replays)",
        "commit (release the lane)",
        "commit (save a failure)",
        "commit (save the batch limit)",
        "commit (acquire the lane)",
        "flag as pushed or refused",
        "delete refusals",
        "delete replays",
        "save refusals",
    ),
    *_named(
        "push delivery",
        READ_ONLY,
        "ping request",
    ),
    *_named(
        "push delivery",
        SENT,
        "push request",
    ),
    *_named(
        "push open",
        READ,
        "count pending records",
        "read a page",
    ),
    *_named(
        "push open",
        STARTED,
        "release the lane",
        "create the lane's row",
        "save a failure",
        "raise the epoch",
        "acquire the lane",
    ),
    *_named(
        "push open",
        WRITTEN,
        "advance the lane",
        "commit (advance the lane + flag as pushed or refused + delete refusals + save refusals)",
        "commit (advance the lane + flag as pushed or refused + delete refusals + save refusals + delete replays)",
        "commit (advance the lane + flag as pushed or refused + delete refusals + delete replays)",
        "commit (release the lane)",
        "commit (create the lane's row)",
        "commit (save a failure)",
        "commit (raise the epoch)",
        "commit (acquire the lane)",
        "flag as pushed or refused",
        "delete refusals",
        "delete replays",
        "save refusals",
    ),
    *_named(
        "push open",
        READ_ONLY,
        "ping request",
    ),
    *_named(
        "push open",
        SENT,
        "push request",
    ),
    *_named(
        "pull delivery",
        READ,
        "count pending records",
        "read a page",
    ),
    *_named(
        "pull delivery",
        STARTED,
        "delete former pushes",
        "release the lane",
        "save a failure",
        "save the recovery",
        "save the latest",
        "settle the failures",
        "raise the epoch",
        "acquire the lane",
    ),
    *_named(
        "pull delivery",
        WRITTEN,
        "advance the lane",
        "commit (advance the lane + write results)",
        "commit (advance the lane + write results + delete refusals)",
        "commit (advance the lane + write results + save refusals)",
        "commit (advance the lane + write results + update refusals + save refusals)",
        "commit (raise the epoch + update refusals + delete the failure mark + save the failure mark)",
        "commit (delete former pushes)",
        "commit (release the lane)",
        "commit (save a failure)",
        "commit (save the recovery)",
        "commit (save the latest)",
        "commit (settle the failures)",
        "commit (acquire the lane)",
        "write results",
        "delete refusals",
        "save refusals",
        "update refusals",
        "delete the failure mark",
        "save the failure mark",
    ),
    *_named(
        "pull delivery",
        READ_ONLY,
        "status request",
    ),
    *_named(
        "pull delivery",
        SENT,
        "pull request",
        "failed request",
    ),
    *_named(
        "pull open",
        STARTED,
        "release the lane",
        "create the lane's row",
        "raise the epoch",
        "acquire the lane",
    ),
    *_named(
        "pull open",
        WRITTEN,
        "commit (raise the epoch + update refusals + save refusals + delete the failure mark + save the failure mark)",
        "commit (release the lane)",
        "commit (create the lane's row)",
        "commit (acquire the lane)",
        "save refusals",
        "update refusals",
        "delete the failure mark",
        "save the failure mark",
    ),
    *_named(
        "pull open",
        SENT,
        "failed request",
    ),
    *_named(
        "replay",
        WRITTEN,
        "raise the revision",
        "make pending again",
        "correct the sum",
        "update refusals",
        "delete replays",
        "save replays",
        "commit (raise the revision + make pending again + update refusals + delete replays + save replays + correct the sum)",
    ),
    *_named("count", STARTED, "save the exact count", "save the open records"),
    *_named("count", WRITTEN, "commit (save the exact count)", "commit (save the open records)"),
    *_named(
        "at any time",
        STARTED,
        "renew the lease",
    ),
    *_named(
        "at any time",
        WRITTEN,
        "commit (renew the lease)",
    ),
)
POSTGRESQL = (
    *_named("push delivery", WRITTEN, "flag in one statement"),
    *_named("push open", WRITTEN, "flag in one statement"),
)
SQLITE = (
    *_named("push delivery", WRITTEN, "commit (advance the lane + flag as pushed or refused)"),
    *_named("push open", WRITTEN, "commit (advance the lane + flag as pushed or refused)"),
)
POINTS = {"sqlite": COMMON + SQLITE, "postgresql": COMMON + POSTGRESQL}
"""By kind of database: PostgreSQL flags a fully accepted batch in one statement, which commits by itself."""

REPEATED = (
    *_named("push delivery", SENT[2:], "push request"),
    *_named("push open", SENT[2:], "push request"),
    *_named(
        "push delivery",
        WRITTEN,
        "flag in one statement",
        "commit (advance the lane + flag as pushed or refused)",
    ),
    *_named("pull delivery", SENT[3:], "pull request"),
    *_named("pull open", SENT[3:], "failed request"),
    *_named("pull delivery", WRITTEN, "commit (advance the lane + write results)"),
)
"""Failpoints at which a master is also killed in the middle pass and in the last pass."""

SHORT = {
    "postgresql": (
        ("push delivery: commit (acquire the lane), done", "first"),
        ("push delivery: push request, answered", "middle"),
        ("push delivery: flag in one statement, before", "middle"),
        ("push delivery: flag in one statement, done", "last"),
        ("pull delivery: pull request, read", "first"),
        (
            "replay: commit (raise the revision + make pending again + update refusals + delete replays + save replays + correct the sum), before",
            "first",
        ),
        ("push delivery: push request, answered", "last"),
    ),
    "sqlite": (
        ("push delivery: push request, half sent", "first"),
        ("push delivery: commit (advance the lane + flag as pushed or refused), before", "middle"),
        ("push delivery: commit (advance the lane + flag as pushed or refused), done", "last"),
        ("push delivery: save refusals, done", "first"),
        ("pull delivery: commit (advance the lane + write results), before", "middle"),
        (
            "replay: commit (raise the revision + make pending again + update refusals + delete replays + save replays + correct the sum), done",
            "first",
        ),
        ("pull open: failed request, read", "last"),
        ("count: commit (save the exact count), done", "first"),
    ),
}
"""The cases of `make test`; the others are slow."""


def cases(kind: str) -> list[tuple[str, str]]:
    """Every failpoint of a database, with the pass at which the master is killed."""
    first = [(point, "first") for point in POINTS[kind]]
    repeated = [(point, which) for point in POINTS[kind] if point in REPEATED for which in ("middle", "last")]
    return first + repeated
