"""The micro-service of the soak: it refuses letters with a certain text, and scores the others."""

from __future__ import annotations

from typing import Any

from workmesh_flows.microservice import MicroService, RecordRefused

REFUSE = "refuse me"

mail = MicroService("soak.mail", version="1.0.0")


def check_letter(letter: dict[str, Any]) -> None:
    if letter["text"] == REFUSE:
        raise RecordRefused("the letter has the text of a refused one")


@mail.protocol("letter", check=check_letter)
def score_letter(letter: dict[str, Any]) -> dict[str, Any]:
    return {"score": letter["id"] % 97}


@mail.protocol("answer")
def score_answer(answer: dict[str, Any]) -> dict[str, Any]:
    return {"score": answer["id"] % 89}
