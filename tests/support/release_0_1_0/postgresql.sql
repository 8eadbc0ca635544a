-- The tables that release 0.1.0 created, with rows in each.
CREATE TABLE workmesh_lanes (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    node VARCHAR(255) NOT NULL,
    direction VARCHAR(8) NOT NULL,
    epoch BIGINT NOT NULL,
    holder VARCHAR(255),
    lease_until TIMESTAMP WITH TIME ZONE,
    breaker VARCHAR(9) NOT NULL,
    failures INTEGER NOT NULL,
    retry_at TIMESTAMP WITH TIME ZONE,
    last_failure TEXT,
    batch_limit INTEGER,
    next_batch INTEGER,
    done BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    last_push_time TIMESTAMP WITH TIME ZONE,
    latest_id VARCHAR(255),
    latest_time TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (service, protocol, node, direction)
);
COMMENT ON COLUMN workmesh_lanes.direction IS 'push or pull';
COMMENT ON COLUMN workmesh_lanes.epoch IS 'rises each time the lane is acquired';
COMMENT ON COLUMN workmesh_lanes.holder IS 'the run that holds the lane, null when none does';
COMMENT ON COLUMN workmesh_lanes.lease_until IS 'when the lease expires if the holder does not renew it';
COMMENT ON COLUMN workmesh_lanes.breaker IS 'closed, open or half-open';
COMMENT ON COLUMN workmesh_lanes.failures IS 'consecutive failures of the node';
COMMENT ON COLUMN workmesh_lanes.retry_at IS 'no request before: the node asked for it, or the breaker is open';
COMMENT ON COLUMN workmesh_lanes.last_failure IS 'the reason of the last failure';
COMMENT ON COLUMN workmesh_lanes.batch_limit IS 'the largest batch the node takes, null when it refused none';
COMMENT ON COLUMN workmesh_lanes.next_batch IS 'a smaller size, after a batch with which the connection was lost';
COMMENT ON COLUMN workmesh_lanes.done IS 'all records ever pushed or pulled in this lane';
COMMENT ON COLUMN workmesh_lanes.refused IS 'all refusals ever in this lane';
COMMENT ON COLUMN workmesh_lanes.last_push_time IS 'the latest push time given in this lane';
COMMENT ON COLUMN workmesh_lanes.latest_id IS 'the record that the node named last as processed';
COMMENT ON COLUMN workmesh_lanes.latest_time IS 'when that record was pushed';
CREATE TABLE workmesh_services (
    service VARCHAR(255) NOT NULL,
    revision BIGINT NOT NULL,
    position VARCHAR(255),
    PRIMARY KEY (service)
);
COMMENT ON COLUMN workmesh_services.revision IS 'rises when entities get another node or a refused record is decided on';
COMMENT ON COLUMN workmesh_services.position IS 'the node that round robin assigned last';
CREATE TABLE workmesh_parked (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    record VARCHAR(255) NOT NULL,
    owner VARCHAR(255) NOT NULL,
    state VARCHAR(8) NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (service, protocol, record)
);
COMMENT ON COLUMN workmesh_parked.record IS 'its id, as the database casts it to text';
COMMENT ON COLUMN workmesh_parked.owner IS 'the key of its entity, cast likewise';
COMMENT ON COLUMN workmesh_parked.state IS 'trying, parked, blocking or skipped; failed or replayed';
COMMENT ON COLUMN workmesh_parked.attempts IS 'number of refusals, 1 for a failed record';
COMMENT ON COLUMN workmesh_parked.reason IS 'of the last refusal or failure';
COMMENT ON COLUMN workmesh_parked.since IS 'of the first refusal, the failure or the replay';
CREATE TABLE workmesh_replays (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    record VARCHAR(255) NOT NULL,
    replayed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (service, protocol, record)
);
COMMENT ON COLUMN workmesh_replays.record IS 'its id, as in workmesh_parked';
COMMENT ON COLUMN workmesh_replays.replayed_at IS 'part of the Idempotency-Key';
CREATE TABLE workmesh_failure_marks (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    node VARCHAR(255) NOT NULL,
    mark VARCHAR(255) NOT NULL,
    PRIMARY KEY (service, protocol, node)
);
COMMENT ON COLUMN workmesh_failure_marks.mark IS 'as the node gave it';
CREATE TABLE workmesh_former_pushes (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    node VARCHAR(255) NOT NULL,
    record VARCHAR(255) NOT NULL,
    push_time TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (service, protocol, node, record)
);
COMMENT ON COLUMN workmesh_former_pushes.push_time IS 'when it was pushed to that node';
CREATE TABLE workmesh_missing (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    node VARCHAR(255) NOT NULL,
    record VARCHAR(255) NOT NULL,
    push_time TIMESTAMP WITH TIME ZONE NOT NULL,
    again BOOLEAN NOT NULL,
    PRIMARY KEY (service, protocol, node, record)
);
COMMENT ON COLUMN workmesh_missing.node IS 'the node that does not have it';
COMMENT ON COLUMN workmesh_missing.record IS 'its id, as the database casts it to text';
COMMENT ON COLUMN workmesh_missing.push_time IS 'of the push that the node does not have';
COMMENT ON COLUMN workmesh_missing.again IS 'whether the record was made pending again for this node, which happens once';
CREATE TABLE workmesh_moves (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    service VARCHAR(255) NOT NULL,
    entity VARCHAR(255) NOT NULL,
    source VARCHAR(255) NOT NULL,
    target VARCHAR(255) NOT NULL,
    why VARCHAR(255) NOT NULL,
    weight BIGINT NOT NULL,
    again BIGINT NOT NULL,
    moved_at TIMESTAMP WITH TIME ZONE NOT NULL,
    epoch BIGINT NOT NULL,
    plan VARCHAR(255),
    PRIMARY KEY (id)
);
CREATE INDEX ix_workmesh_moves_service ON workmesh_moves (service);
COMMENT ON COLUMN workmesh_moves.source IS 'the node before the move';
COMMENT ON COLUMN workmesh_moves.target IS 'the node after the move';
COMMENT ON COLUMN workmesh_moves.again IS 'records made pending again';
COMMENT ON COLUMN workmesh_moves.epoch IS 'the service''s revision after this move';
COMMENT ON COLUMN workmesh_moves.plan IS 'the id of the plan that contains it';
CREATE TABLE workmesh_plans (
    id VARCHAR(255) NOT NULL,
    service VARCHAR(255) NOT NULL,
    kind VARCHAR(255) NOT NULL,
    state VARCHAR(255) NOT NULL,
    planned_at TIMESTAMP WITH TIME ZONE NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (id)
);
COMMENT ON COLUMN workmesh_plans.id IS 'made of its kind and the fingerprint of its input';
COMMENT ON COLUMN workmesh_plans.kind IS 'rebalance or drain';
COMMENT ON COLUMN workmesh_plans.state IS 'planned, applying or applied';
COMMENT ON COLUMN workmesh_plans.body IS 'the plan and the facts that it was made from, as JSON';
CREATE TABLE workmesh_conditions (
    kind VARCHAR(255) NOT NULL,
    subject VARCHAR(255) NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (kind, subject)
);
COMMENT ON COLUMN workmesh_conditions.kind IS 'lane stopped, node unreachable, ...';
COMMENT ON COLUMN workmesh_conditions.subject IS 'the lane, node, record or service';
COMMENT ON COLUMN workmesh_conditions.detail IS 'the reason that was reported last';

INSERT INTO workmesh_lanes (service, protocol, node, direction, epoch, holder, lease_until, breaker, failures, retry_at, last_failure, batch_limit, next_batch, done, refused, last_push_time, latest_id, latest_time) VALUES ('shop.orders', 'select', 'n1', 'push', 7, NULL, NULL, 'open', 5, '2026-03-01 10:00:15+00', 'connection refused', 200, 100, 41, 2, '2026-03-01 10:00:00.000041+00', NULL, NULL);
INSERT INTO workmesh_lanes (service, protocol, node, direction, epoch, holder, lease_until, breaker, failures, retry_at, last_failure, batch_limit, next_batch, done, refused, last_push_time, latest_id, latest_time) VALUES ('shop.orders', 'select', 'n1', 'pull', 3, NULL, NULL, 'closed', 0, NULL, NULL, NULL, NULL, 40, 0, NULL, '40', '2026-03-01 10:00:00.000040+00');
INSERT INTO workmesh_services (service, revision, position) VALUES ('shop.orders', 4, 'n1');
INSERT INTO workmesh_parked (service, protocol, record, owner, state, attempts, reason, since) VALUES ('shop.orders', 'select', '42', '1', 'parked', 5, 'the address is not one', '2026-03-01 10:01:00+00');
INSERT INTO workmesh_replays (service, protocol, record, replayed_at) VALUES ('shop.orders', 'select', '7', '2026-03-01 10:02:00+00');
INSERT INTO workmesh_failure_marks (service, protocol, node, mark) VALUES ('shop.orders', 'select', 'n1', '12');
INSERT INTO workmesh_former_pushes (service, protocol, node, record, push_time) VALUES ('shop.orders', 'select', 'n2', '3', '2026-03-01 09:00:00+00');
INSERT INTO workmesh_missing (service, protocol, node, record, push_time, again) VALUES ('shop.orders', 'select', 'n1', '5', '2026-03-01 09:30:00+00', true);
INSERT INTO workmesh_moves (service, entity, source, target, why, weight, again, moved_at, epoch, plan) VALUES ('shop.orders', '1', 'n2', 'n1', 'rebalance', 12, 1, '2026-03-01 09:10:00+00', 4, 'rebalance-1a2b3c');
INSERT INTO workmesh_plans (id, service, kind, state, planned_at, body) VALUES ('rebalance-1a2b3c', 'shop.orders', 'rebalance', 'applied', '2026-03-01 09:05:00+00', '{}');
INSERT INTO workmesh_conditions (kind, subject, since, detail) VALUES ('node unreachable', 'n1', '2026-03-01 10:00:15+00', 'connection refused');
