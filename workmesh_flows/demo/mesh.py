"""The sample's mesh: one service with four protocols."""

from __future__ import annotations

from typing import Any

from workmesh_flows import EntityWeight, Flags, Mesh, Protocol, Pull, Push, Service, get, post
from workmesh_flows.demo.models import Account, Click, Delivery, Flagged, Open, Unsubscribe, User

SERVICE = "micro.emails.timeline"


def _protocol(name: str, record: type[Flagged], **more: Any) -> Protocol:  # noqa: ANN401 - further arguments of Protocol
    """A protocol; all four tables have the same flags and the same endpoints."""
    sample: Any = record
    return Protocol(
        name,
        record=record,
        id=sample.id,
        sort=sample.create_time,
        push=Push(
            post(f"/api/1.0/{name}/push.json", batch_size=500),
            flags=Flags(sample.push_time, sample.push_success, sample.push_error_description),
        ),
        pull=Pull(
            status=f"/api/1.0/{name}/status.json",
            fetch=get(f"/api/1.0/{name}/pull.json", into={"score": sample.score}),
            flags=Flags(sample.pull_time, sample.pull_success, sample.pull_error_description),
        ),
        **more,
    )


timeline = Service(
    SERVICE,
    entity=Account,
    assigned_to=Account.node_for_micro_emails_timeline,
    criterion=EntityWeight(Account.seats),
    protocols=[
        _protocol("delivery", Delivery, owner=[Delivery.user, User.account]),
        # Only one path of foreign keys leads to Account, so no owner is needed. The delivery is pushed first.
        _protocol("open", Open, after=Open.delivery_id),
        _protocol("click", Click, after=Click.delivery_id),
        _protocol("unsubscribe", Unsubscribe, after=Unsubscribe.delivery_id),
    ],
)

mesh = Mesh([timeline])
