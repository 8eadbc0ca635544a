-- The tables that release 0.1.0 created, with rows in each.
CREATE TABLE workmesh_lanes (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    node VARCHAR(255) NOT NULL,
    direction VARCHAR(8) NOT NULL,
    epoch BIGINT NOT NULL,
    holder VARCHAR(255),
    lease_until DATETIME,
    breaker VARCHAR(9) NOT NULL,
    failures INTEGER NOT NULL,
    retry_at DATETIME,
    last_failure TEXT,
    batch_limit INTEGER,
    next_batch INTEGER,
    done BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    last_push_time DATETIME,
    latest_id VARCHAR(255),
    latest_time DATETIME,
    PRIMARY KEY (service, protocol, node, direction)
);
CREATE TABLE workmesh_services (
    service VARCHAR(255) NOT NULL,
    revision BIGINT NOT NULL,
    position VARCHAR(255),
    PRIMARY KEY (service)
);
CREATE TABLE workmesh_parked (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    record VARCHAR(255) NOT NULL,
    owner VARCHAR(255) NOT NULL,
    state VARCHAR(8) NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    since DATETIME NOT NULL,
    PRIMARY KEY (service, protocol, record)
);
CREATE TABLE workmesh_replays (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    record VARCHAR(255) NOT NULL,
    replayed_at DATETIME NOT NULL,
    PRIMARY KEY (service, protocol, record)
);
CREATE TABLE workmesh_failure_marks (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    node VARCHAR(255) NOT NULL,
    mark VARCHAR(255) NOT NULL,
    PRIMARY KEY (service, protocol, node)
);
CREATE TABLE workmesh_former_pushes (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    node VARCHAR(255) NOT NULL,
    record VARCHAR(255) NOT NULL,
    push_time DATETIME NOT NULL,
    PRIMARY KEY (service, protocol, node, record)
);
CREATE TABLE workmesh_missing (
    service VARCHAR(255) NOT NULL,
    protocol VARCHAR(255) NOT NULL,
    node VARCHAR(255) NOT NULL,
    record VARCHAR(255) NOT NULL,
    push_time DATETIME NOT NULL,
    again BOOLEAN NOT NULL,
    PRIMARY KEY (service, protocol, node, record)
);
CREATE TABLE workmesh_moves (
    id INTEGER NOT NULL,
    service VARCHAR(255) NOT NULL,
    entity VARCHAR(255) NOT NULL,
    source VARCHAR(255) NOT NULL,
    target VARCHAR(255) NOT NULL,
    why VARCHAR(255) NOT NULL,
    weight BIGINT NOT NULL,
    again BIGINT NOT NULL,
    moved_at DATETIME NOT NULL,
    epoch BIGINT NOT NULL,
    "plan" VARCHAR(255),
    PRIMARY KEY (id)
);
CREATE INDEX ix_workmesh_moves_service ON workmesh_moves (service);
CREATE TABLE workmesh_plans (
    id VARCHAR(255) NOT NULL,
    service VARCHAR(255) NOT NULL,
    kind VARCHAR(255) NOT NULL,
    state VARCHAR(255) NOT NULL,
    planned_at DATETIME NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE workmesh_conditions (
    kind VARCHAR(255) NOT NULL,
    subject VARCHAR(255) NOT NULL,
    since DATETIME NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (kind, subject)
);

INSERT INTO workmesh_lanes (service, protocol, node, direction, epoch, holder, lease_until, breaker, failures, retry_at, last_failure, batch_limit, next_batch, done, refused, last_push_time, latest_id, latest_time) VALUES ('shop.orders', 'select', 'n1', 'push', 7, NULL, NULL, 'open', 5, '2026-03-01 10:00:15.000000', 'connection refused', 200, 100, 41, 2, '2026-03-01 10:00:00.000041', NULL, NULL);
INSERT INTO workmesh_lanes (service, protocol, node, direction, epoch, holder, lease_until, breaker, failures, retry_at, last_failure, batch_limit, next_batch, done, refused, last_push_time, latest_id, latest_time) VALUES ('shop.orders', 'select', 'n1', 'pull', 3, NULL, NULL, 'closed', 0, NULL, NULL, NULL, NULL, 40, 0, NULL, '40', '2026-03-01 10:00:00.000040');
INSERT INTO workmesh_services (service, revision, position) VALUES ('shop.orders', 4, 'n1');
INSERT INTO workmesh_parked (service, protocol, record, owner, state, attempts, reason, since) VALUES ('shop.orders', 'select', '42', '1', 'parked', 5, 'the address is not one', '2026-03-01 10:01:00.000000');
INSERT INTO workmesh_replays (service, protocol, record, replayed_at) VALUES ('shop.orders', 'select', '7', '2026-03-01 10:02:00.000000');
INSERT INTO workmesh_failure_marks (service, protocol, node, mark) VALUES ('shop.orders', 'select', 'n1', '12');
INSERT INTO workmesh_former_pushes (service, protocol, node, record, push_time) VALUES ('shop.orders', 'select', 'n2', '3', '2026-03-01 09:00:00.000000');
INSERT INTO workmesh_missing (service, protocol, node, record, push_time, again) VALUES ('shop.orders', 'select', 'n1', '5', '2026-03-01 09:30:00.000000', 1);
INSERT INTO workmesh_moves (service, entity, source, target, why, weight, again, moved_at, epoch, plan) VALUES ('shop.orders', '1', 'n2', 'n1', 'rebalance', 12, 1, '2026-03-01 09:10:00.000000', 4, 'rebalance-1a2b3c');
INSERT INTO workmesh_plans (id, service, kind, state, planned_at, body) VALUES ('rebalance-1a2b3c', 'shop.orders', 'rebalance', 'applied', '2026-03-01 09:05:00.000000', '{}');
INSERT INTO workmesh_conditions (kind, subject, since, detail) VALUES ('node unreachable', 'n1', '2026-03-01 10:00:15.000000', 'connection refused');
