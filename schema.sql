-- Boxoffice: the one schema. boxoffice migrate (and serve at its start) applies it under an advisory
-- lock, so every statement is idempotent and changes come by addition only. Needs PostgreSQL 14.
--
-- It is applied to a running system too, so nothing here may lock a table that exists: CREATE TABLE IF
-- NOT EXISTS returns without a lock, while CREATE INDEX IF NOT EXISTS and CREATE OR REPLACE TRIGGER do
-- not. Constraints stand inside CREATE TABLE, triggers behind a look into the catalog.

------------------------------------------------------------------------------------------------------
-- The log (package eventstore)
------------------------------------------------------------------------------------------------------

-- Every event there ever was, append-only. data and metadata are json, not jsonb: what is stored is
-- byte for byte what was hashed. hash stands on the last event of each append.
CREATE TABLE IF NOT EXISTS events (
    position       bigint NOT NULL CHECK (position > 0),
    stream         text COLLATE "C" NOT NULL,
    version        bigint NOT NULL CHECK (version > 0),
    type           text COLLATE "C" NOT NULL,
    schema_version smallint NOT NULL,
    data           json NOT NULL,
    metadata       json NOT NULL,
    recorded_at    timestamptz NOT NULL,
    hash           bytea,
    PRIMARY KEY (position),
    UNIQUE (stream, version)
);

CREATE OR REPLACE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;

-- ALWAYS: it holds in replication roles too.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'events'::regclass AND tgname = 'events_append_only') THEN
        CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
            FOR EACH STATEMENT EXECUTE FUNCTION events_append_only();
        ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only;
    END IF;
END
$$;

-- The end of the log: sequencer, clock and fence. One row, updated by every append, so its page is
-- left mostly empty for heap-only updates.
CREATE TABLE IF NOT EXISTS log_head (
    one      boolean NOT NULL DEFAULT true CHECK (one),
    position bigint NOT NULL,
    time     timestamptz NOT NULL,
    hash     bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (one)
) WITH (fillfactor = 10);

INSERT INTO log_head (position, time, hash)
VALUES (0, '1970-01-01T00:00:00Z', decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;

-- Index of the log by idempotency key, filled from the log behind it. Two generations of 30 days take
-- turns in two partitions: when one begins, the one before the last is emptied.
CREATE TABLE IF NOT EXISTS requests (
    key        bytea NOT NULL,
    generation smallint NOT NULL,
    position   bigint NOT NULL,
    PRIMARY KEY (key, generation)
) PARTITION BY LIST (generation);
CREATE TABLE IF NOT EXISTS requests_0 PARTITION OF requests FOR VALUES IN (0);
CREATE TABLE IF NOT EXISTS requests_1 PARTITION OF requests FOR VALUES IN (1);

-- How far requests is complete, and which generation is filled now (days since 1970 divided by 30).
CREATE TABLE IF NOT EXISTS requests_mark (
    one        boolean NOT NULL DEFAULT true CHECK (one),
    position   bigint NOT NULL,
    generation bigint NOT NULL,
    PRIMARY KEY (one)
) WITH (fillfactor = 10);

INSERT INTO requests_mark (position, generation) VALUES (0, 0) ON CONFLICT DO NOTHING;

-- Who stands behind a customerRef, one row per order, at the position of its OrderPlaced. Forgetting a
-- customer blanks rows here. The only other place where a person may stand is deliveries.body.
CREATE TABLE IF NOT EXISTS contacts (
    position     bigint NOT NULL,
    customer_ref text COLLATE "C" NOT NULL,
    customer_id  text NOT NULL,
    email        text NOT NULL,
    name         text NOT NULL,
    PRIMARY KEY (position)
);

-- When a show next needs work (holds to end, a cancellation to go on with).
CREATE TABLE IF NOT EXISTS due (
    show_id bigint NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (show_id)
) WITH (fillfactor = 50);

-- What gateways delivered, as it came, at the position of the event that judged it.
CREATE TABLE IF NOT EXISTS deliveries (
    position    bigint NOT NULL,
    gateway     text COLLATE "C" NOT NULL,
    delivery_id text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL,
    body        bytea NOT NULL,
    PRIMARY KEY (position, gateway, delivery_id)
);

-- The daily counter that order ids are leased from. next is the first id not yet leased; 0 is no id.
CREATE TABLE IF NOT EXISTS order_ids (
    day  date NOT NULL,
    next bigint NOT NULL CHECK (next BETWEEN 1 AND 4294967296),
    PRIMARY KEY (day)
) WITH (fillfactor = 50);

-- The key of customerRef = HMAC(key, customer id), made once.
CREATE TABLE IF NOT EXISTS customer_key (
    one boolean NOT NULL DEFAULT true CHECK (one),
    key bytea NOT NULL,
    PRIMARY KEY (one)
);

INSERT INTO customer_key (key)
VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')) ON CONFLICT DO NOTHING;

-- Folded states that save reading a long stream from its start. Disposable.
CREATE TABLE IF NOT EXISTS snapshots (
    stream   text COLLATE "C" NOT NULL,
    version  bigint NOT NULL,
    position bigint NOT NULL,
    format   integer NOT NULL,
    data     bytea NOT NULL,
    PRIMARY KEY (stream)
);

-- How far a reader has come. A projection has a row per topic and partition: next_offset is the Kafka
-- offset it reads next, position the last log position it has applied. The relay has one row
-- ('relay', '', 0). epoch tells an old holder from the new one; every move is a compare-and-set.
CREATE TABLE IF NOT EXISTS checkpoints (
    name        text COLLATE "C" NOT NULL,
    topic       text COLLATE "C" NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL DEFAULT 0,
    position    bigint NOT NULL DEFAULT 0,
    epoch       bigint NOT NULL DEFAULT 0,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, topic, partition)
) WITH (fillfactor = 50);

INSERT INTO checkpoints (name, topic, partition) VALUES ('relay', '', 0) ON CONFLICT DO NOTHING;

-- How often replay has swapped a projection's tables. A batch that was folded from the tables before a swap is
-- folded again.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'checkpoints'::regclass AND attname = 'generation') THEN
        ALTER TABLE checkpoints ADD COLUMN generation bigint NOT NULL DEFAULT 0;
    END IF;
END
$$;

------------------------------------------------------------------------------------------------------
-- Read models (package projections). Every row is a fold of one stream up to its version, and can be
-- built again from the log at any time. A row is written only over one with a lower version.
------------------------------------------------------------------------------------------------------

-- Streams that a projection can't go on with: the first event that could not be folded. Later events of
-- the stream wait behind it, in the log; all other streams go on.
CREATE TABLE IF NOT EXISTS parked (
    projection text COLLATE "C" NOT NULL,
    stream     text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    position   bigint NOT NULL,
    type       text COLLATE "C" NOT NULL,
    reason     text NOT NULL,
    parked_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, stream)
);

-- Streams that a projection leaves out from a version on, because an operator discarded what was parked: an
-- index of the log's StreamDiscarded events, which can be filled from them at any time.
CREATE TABLE IF NOT EXISTS discarded (
    projection   text COLLATE "C" NOT NULL,
    stream       text COLLATE "C" NOT NULL,
    version      bigint NOT NULL, -- the first that is left out
    reason       text NOT NULL,
    position     bigint NOT NULL, -- of StreamDiscarded
    discarded_at timestamptz NOT NULL,
    PRIMARY KEY (projection, stream)
);

-- Dead letters that an operator has sent again or discarded, by their place in dead-letter-topic. The digest
-- tells them from others that stand there later, in a topic that was made anew.
CREATE TABLE IF NOT EXISTS dead_letters_done (
    letter_partition integer NOT NULL,
    letter_offset    bigint NOT NULL,
    digest           text COLLATE "C" NOT NULL,
    outcome          text COLLATE "C" NOT NULL, -- retried or discarded
    reason           text NOT NULL,             -- of a discarded one
    done_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (letter_partition, letter_offset, digest)
);

-- What stands in the tables of a read model: of which number its definition was, and when replay built it last, up
-- to which position (null: it never did).
CREATE TABLE IF NOT EXISTS read_models (
    projection text COLLATE "C" NOT NULL,
    number     integer NOT NULL,
    built_at   timestamptz,
    position   bigint,
    PRIMARY KEY (projection)
);

-- Read model availability, number 1: shows, ticket_types and availability are written together, and every
-- event of a show moves the version of all its rows.
CREATE TABLE IF NOT EXISTS shows (
    show_id         bigint NOT NULL,
    name            text NOT NULL,
    venue           text NOT NULL,
    starts_at       timestamptz NOT NULL,
    time_zone       text NOT NULL,
    currency        text NOT NULL,
    payment_methods json NOT NULL,
    paused          boolean NOT NULL,
    canceled        boolean NOT NULL,
    defined         bigint NOT NULL,      -- version of the last event that changed what a ticket type is
    changed_at      timestamptz NOT NULL, -- time of the last event
    version         bigint NOT NULL,
    position        bigint NOT NULL,
    PRIMARY KEY (show_id)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS ticket_types (
    show_id          bigint NOT NULL,
    ticket_type_id   bigint NOT NULL,
    name             text NOT NULL,
    price            bigint NOT NULL,
    max_per_order    bigint NOT NULL,
    max_per_customer bigint NOT NULL, -- 0: no limit
    sales_from       timestamptz,     -- null: at once
    sales_to         timestamptz,     -- null: until the show begins
    version          bigint NOT NULL,
    PRIMARY KEY (show_id, ticket_type_id)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS availability (
    show_id        bigint NOT NULL,
    ticket_type_id bigint NOT NULL,
    capacity       bigint NOT NULL,
    held           bigint NOT NULL,
    sold           bigint NOT NULL,
    version        bigint NOT NULL,
    PRIMARY KEY (show_id, ticket_type_id)
) WITH (fillfactor = 50);

-- Read model order_status, number 1: one row per order. No index stands on a column that changes, so
-- updates stay heap-only.
DO $$
BEGIN
    IF to_regclass('order_status') IS NULL THEN
        CREATE TABLE order_status (
            order_id        text COLLATE "C" NOT NULL,
            status          text COLLATE "C" NOT NULL,
            reason          text COLLATE "C" NOT NULL, -- of a canceled order, else empty
            show_id         bigint NOT NULL,
            lines           json NOT NULL,             -- [{ticketTypeId, quantity, unitPrice}]
            total           bigint NOT NULL,
            currency        text COLLATE "C" NOT NULL,
            placed_at       timestamptz NOT NULL,
            expires_at      timestamptz NOT NULL,
            version         bigint NOT NULL,
            customer_ref    text COLLATE "C" NOT NULL,
            placed_position bigint NOT NULL,           -- of OrderPlaced: finds the contact
            payment         json NOT NULL,             -- the newest: {paymentId, attempt, status, method, …}
            refund_status   text COLLATE "C" NOT NULL, -- over all refunds; empty: none
            refund_amount   bigint NOT NULL,
            refunds         json NOT NULL,             -- [{refundId, status, amount}]
            tickets         json NOT NULL,             -- [{ticketId, ticketTypeId}]
            position        bigint NOT NULL,
            PRIMARY KEY (order_id)
        ) WITH (fillfactor = 80);
        CREATE INDEX order_status_placed ON order_status (placed_position);
        CREATE INDEX order_status_show ON order_status (show_id, placed_position);
        CREATE INDEX order_status_customer ON order_status (customer_ref, placed_position);
    END IF;
END
$$;

-- Read model sales_by_day, number 1: what was sold of a ticket type on a day, and what went back on it. Days are
-- those of the show's time zone. Every event of a show moves the version of the rows of its newest day.
CREATE TABLE IF NOT EXISTS sales_by_day (
    show_id        bigint NOT NULL,
    day            date NOT NULL,
    ticket_type_id bigint NOT NULL,
    orders         bigint NOT NULL,           -- that got tickets of this type
    tickets        bigint NOT NULL,           -- sold on this day, also if they were returned since
    revenue        bigint NOT NULL,           -- what those cost, in the currency's smallest unit
    refunds        bigint NOT NULL,           -- what the tickets cost that were returned on this day
    price          bigint NOT NULL,           -- of a ticket, at the end of the day
    currency       text COLLATE "C" NOT NULL,
    time_zone      text NOT NULL,
    version        bigint NOT NULL,
    PRIMARY KEY (show_id, day, ticket_type_id)
) WITH (fillfactor = 50);

-- Read model open_items, number 1: one row per event that opened an item.
DO $$
BEGIN
    IF to_regclass('open_items') IS NULL THEN
        CREATE TABLE open_items (
            id          text COLLATE "C" NOT NULL, -- of the event that opened it, stream:version
            kind        text COLLATE "C" NOT NULL,
            payment_id  text NOT NULL,
            order_id    text COLLATE "C" NOT NULL, -- empty: not known
            amount      bigint NOT NULL,
            currency    text COLLATE "C" NOT NULL, -- empty: the amount was not told
            at          timestamptz NOT NULL,
            detail      text NOT NULL,
            resolved    boolean NOT NULL,
            resolved_at timestamptz,
            reason      text NOT NULL,             -- what the operator gave, else empty
            opened      bigint NOT NULL,           -- position of the event that opened it
            version     bigint NOT NULL,
            PRIMARY KEY (id)
        );
        CREATE INDEX open_items_opened ON open_items (resolved, opened);
    END IF;
END
$$;

------------------------------------------------------------------------------------------------------
-- Payments (package internal/payments)
------------------------------------------------------------------------------------------------------

-- Events whose work the gateway could not do yet: the process tries again when it is due. A row ends when
-- the work is done, no longer asked for, or given up.
CREATE TABLE IF NOT EXISTS payment_retries (
    event_id text COLLATE "C" NOT NULL, -- stream:version of PaymentRequested, PaymentExpired or RefundRequested
    tries    integer NOT NULL,
    due_at   timestamptz NOT NULL,
    PRIMARY KEY (event_id),
    UNIQUE (due_at, event_id)
);

------------------------------------------------------------------------------------------------------
-- The simulated gateway (package internal/payments/simulator): an outside system that happens to keep its
-- books here. Nothing else reads these tables.
------------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS simulator_payments (
    payment_id text COLLATE "C" NOT NULL,
    order_id   text COLLATE "C" NOT NULL,
    method     text COLLATE "C" NOT NULL,
    amount     bigint NOT NULL,
    currency   text COLLATE "C" NOT NULL,
    qr         text COLLATE "C" NOT NULL,            -- EMVCo payload; empty for cards
    state      text COLLATE "C" NOT NULL,
    received   bigint NOT NULL DEFAULT 0,            -- the money that came
    reference  text COLLATE "C" NOT NULL DEFAULT '', -- the gateway's id of that money; empty: none came
    expires_at timestamptz NOT NULL,
    charged_at timestamptz NOT NULL,
    PRIMARY KEY (payment_id)
) WITH (fillfactor = 70);

CREATE TABLE IF NOT EXISTS simulator_refunds (
    refund_id   text COLLATE "C" NOT NULL,
    payment_id  text COLLATE "C" NOT NULL,
    amount      bigint NOT NULL,
    currency    text COLLATE "C" NOT NULL,
    reference   text COLLATE "C" NOT NULL,
    refunded_at timestamptz NOT NULL,
    PRIMARY KEY (refund_id)
);

-- Webhooks to be sent; a row ends when its webhook was taken or given up.
CREATE TABLE IF NOT EXISTS simulator_deliveries (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY,
    payment_id  text COLLATE "C" NOT NULL,
    status      text COLLATE "C" NOT NULL,
    amount      bigint NOT NULL,
    currency    text COLLATE "C" NOT NULL,
    reference   text COLLATE "C" NOT NULL,
    made_at     timestamptz NOT NULL,
    tries       integer NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL,
    PRIMARY KEY (delivery_id),
    UNIQUE (due_at, delivery_id)
);

------------------------------------------------------------------------------------------------------
-- Notifications (package internal/notifications)
------------------------------------------------------------------------------------------------------

-- What is to be told and what was, a row per sender and message of notification-topic. No person stands in it.
-- A worker that sends a row moves due_at on first, so no transaction is open meanwhile. A row that has ended is
-- known until due_at, a week after at, and then forgotten; what is older than a day is not stored again.
DO $$
BEGIN
    IF to_regclass('notifications') IS NULL THEN
        CREATE TABLE notifications (
            sender text COLLATE "C" NOT NULL,
            id     text COLLATE "C" NOT NULL,            -- the message's ce_id
            at     timestamptz NOT NULL,                 -- of the event behind it
            news   json NOT NULL,                        -- the message
            tries  integer NOT NULL DEFAULT 0,
            due_at timestamptz NOT NULL,                 -- when to look at the row again
            ended  boolean NOT NULL DEFAULT false,
            result text COLLATE "C" NOT NULL DEFAULT '', -- of one that has ended
            reason text NOT NULL DEFAULT '',             -- why it was not sent, or not yet
            PRIMARY KEY (sender, id)
        ) WITH (fillfactor = 70);
        CREATE INDEX notifications_due ON notifications (ended, sender, due_at);
    END IF;
END
$$;
