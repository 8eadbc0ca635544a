"""The result of one check of the doctor, and how checks are made that must not fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from workmesh_flows.domain.reports import counted
from workmesh_flows.errors import WorkmeshError


class Result(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Runs work, but something is missing or unusual."""
    PROBLEM = "problem"
    """Runs fail, or do not start."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one check found: ``subject`` is what was checked; ``to_do`` is a command or a field to change."""

    subject: str
    check: str
    result: Result
    detail: str = ""
    to_do: str = ""

    def __str__(self) -> str:
        """The diagnosis on one line."""
        to_do = f" -> {self.to_do}" if self.to_do else ""
        return f"{self.subject}, {self.check}: {self.detail}{to_do}"


def guarded(
    subject: str, check: str, examine: Callable[[], Iterable[Diagnosis]], to_do: str = ""
) -> list[Diagnosis]:
    """What ``examine`` finds, or a problem with the text of the error that it raises, and ``to_do``."""
    try:
        return list(examine())
    except Exception as error:  # noqa: BLE001 - the doctor reports what is broken, whatever it raises
        return [Diagnosis(subject, check, Result.PROBLEM, error_text(error), to_do)]


def error_text(error: BaseException) -> str:
    """The text of an error; that of a foreign one with its type, and only its first line."""
    if isinstance(error, WorkmeshError):
        return str(error)
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}".rstrip(": ")


def problems_of(found: Iterable[Diagnosis]) -> list[Diagnosis]:
    """The diagnoses that are problems."""
    return [one for one in found if one.result is Result.PROBLEM]


def count_diagnoses(found: Sequence[Diagnosis]) -> str:
    """The number of checks, warnings and problems, as one sentence."""
    warnings = sum(one.result is Result.WARNING for one in found)
    return (
        f"{counted(len(found), 'check')}: {counted(len(problems_of(found)), 'problem')}, "
        f"{counted(warnings, 'warning')}"
    )
