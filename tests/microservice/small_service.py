"""The micro-service of the documentation, complete in about twenty lines."""

from workmesh_flows.microservice import MicroService, RecordRefused

timeline = MicroService("micro.emails.timeline", version="1.0.0")


def check(delivery: dict) -> None:
    if "@" not in delivery["email"]:
        raise RecordRefused("email has no @")


@timeline.protocol("delivery", check=check)
def score(delivery: dict) -> dict | None:
    return {"score": len(delivery["subject"])}
