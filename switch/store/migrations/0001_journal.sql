-- The journal. Ids I1 … I16: docs/invariants.md; rules: docs/payment-law.md.

CREATE SEQUENCE epoch;

-- A node is one running switch process. Its epoch is the fence of every payment it drives (I13).
CREATE TABLE node (
    name              text PRIMARY KEY,
    epoch             bigint NOT NULL UNIQUE,
    lease_until       timestamptz NOT NULL,
    predecessor_until timestamptz NOT NULL,
    process           text NOT NULL
);
COMMENT ON COLUMN node.predecessor_until IS
    'from when on this node may take what the process before it (same name) was driving';

CREATE TABLE payment (
    key           text PRIMARY KEY,
    hospital      text NOT NULL,
    business      text NOT NULL,
    terminal      text NOT NULL,
    bill          text NOT NULL,
    patient       text NOT NULL,
    amount_fen    bigint NOT NULL,
    request_hash  text NOT NULL,
    business_date text NOT NULL,
    stage         text NOT NULL,
    rest          text,
    version       integer NOT NULL CHECK (version >= 1),
    fence         bigint NOT NULL,
    owner         text NOT NULL,
    born_at       bigint NOT NULL,
    deadline_at   bigint NOT NULL,
    updated_at    timestamptz NOT NULL,
    holds_bill    boolean NOT NULL,
    checksum      bigint NOT NULL,
    state         json NOT NULL,
    -- I16; 0 only for a tombstone: a key that was asked for before it was ever seen (rule 12)
    CHECK (amount_fen > 0 OR (amount_fen = 0 AND rest = 'declined'))
) WITH (fillfactor = 60, toast_tuple_target = 8160);
COMMENT ON COLUMN payment.state IS 'the whole payment; json, not jsonb: kept to the byte, for checksum';
COMMENT ON COLUMN payment.checksum IS 'CRC-32 of state, verified on every read (I1)';
COMMENT ON COLUMN payment.holds_bill IS
    'this payment may have paid its bill; once given up it never comes back, so that a door out of '
    'a rest (rule 7) can always be journaled';

-- Rule 12: one live payment per (hospital, bill).
CREATE UNIQUE INDEX payment_live_bill ON payment (hospital, bill) WHERE holds_bill;
CREATE INDEX payment_unfinished ON payment (born_at) WHERE rest IS NULL;
CREATE INDEX payment_exception ON payment (born_at) WHERE rest = 'exception';
CREATE INDEX payment_born ON payment (born_at);

-- What happened to a payment, in order. writer and write_no name the write itself, so that a
-- commit whose result was lost can be recognised (K19). No foreign key to payment: journal_apply
-- writes both or none, nothing can be deleted, and the check would cost as much as the write.
CREATE TABLE payment_event (
    key      text NOT NULL,
    version  integer NOT NULL,
    hospital text NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    writer   bigint NOT NULL,
    write_no bigint NOT NULL,
    trail    text NOT NULL,
    event    json NOT NULL,
    PRIMARY KEY (key, version)
);
COMMENT ON COLUMN payment_event.trail IS
    'where the payment stood after it: phase, then kind:state of each leg';

-- I8: what makes a message unique at a bank, for ever and over all nodes.
CREATE TABLE exchange_identity (
    bank          text NOT NULL,
    merchant      text NOT NULL,
    terminal      text NOT NULL,
    batch         text NOT NULL,
    stan          text NOT NULL,
    business_date text NOT NULL,
    hospital      text NOT NULL,
    payment_key   text NOT NULL,
    PRIMARY KEY (bank, merchant, terminal, batch, stan, business_date)
);
CREATE INDEX exchange_identity_payment ON exchange_identity (payment_key);

-- Answers that reached a node which does not drive the payment: unfenced, read by the one who does.
CREATE TABLE late_reply (
    id         bigserial PRIMARY KEY,
    key        text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    writer     bigint NOT NULL,
    write_no   bigint NOT NULL,
    what       text NOT NULL,
    handled_at timestamptz,
    UNIQUE (writer, write_no)
);
CREATE INDEX late_reply_open ON late_reply (id) WHERE handled_at IS NULL;

-- (bank, F42, F41): the owner of a key set, a batch and its STAN counters (rule 15).
CREATE TABLE logical_terminal (
    bank           text NOT NULL,
    merchant       text NOT NULL,
    terminal       text NOT NULL,
    batch          text NOT NULL DEFAULT '000001',
    key_generation integer NOT NULL DEFAULT 0,
    pik            text NOT NULL DEFAULT '',
    mak            text NOT NULL DEFAULT '',
    pik_kcv        text NOT NULL DEFAULT '',
    mak_kcv        text NOT NULL DEFAULT '',
    installed_at   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (bank, merchant, terminal)
);
COMMENT ON COLUMN logical_terminal.pik IS 'under the HSM''s LMK, as is mak';

CREATE TABLE terminal_batch (
    bank      text NOT NULL,
    merchant  text NOT NULL,
    terminal  text NOT NULL,
    batch     text NOT NULL,
    next_stan integer NOT NULL DEFAULT 1 CHECK (next_stan BETWEEN 1 AND 999999),
    PRIMARY KEY (bank, merchant, terminal, batch),
    FOREIGN KEY (bank, merchant, terminal) REFERENCES logical_terminal
) WITH (fillfactor = 50);

-- I15: nothing that happened can be deleted, and what a payment is about cannot be changed.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'I15: % of % is refused: the journal forgets nothing', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'YYT15';
END $$;

CREATE TRIGGER payment_stays BEFORE DELETE ON payment
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payment_stays_all BEFORE TRUNCATE ON payment
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payment_is_what_it_was BEFORE UPDATE ON payment
    FOR EACH ROW WHEN (
        OLD.key <> NEW.key OR OLD.hospital <> NEW.hospital OR OLD.amount_fen <> NEW.amount_fen
        OR OLD.request_hash <> NEW.request_hash OR OLD.business_date <> NEW.business_date
        OR OLD.bill <> NEW.bill OR OLD.born_at <> NEW.born_at
        OR NEW.version NOT IN (OLD.version, OLD.version + 1)
        OR (NEW.holds_bill AND NOT OLD.holds_bill)
    ) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payment_event_stays BEFORE DELETE OR UPDATE ON payment_event
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payment_event_stays_all BEFORE TRUNCATE ON payment_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER exchange_identity_stays BEFORE DELETE OR UPDATE ON exchange_identity
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER exchange_identity_stays_all BEFORE TRUNCATE ON exchange_identity
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER late_reply_stays BEFORE DELETE ON late_reply
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER late_reply_stays_all BEFORE TRUNCATE ON late_reply
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
