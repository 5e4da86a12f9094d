-- Settlements of batches (rule 19), each a row that moves by compare-and-set on its version.

CREATE TABLE settlement (
    id           bigserial PRIMARY KEY,
    bank         text NOT NULL,
    merchant     text NOT NULL,
    terminal     text NOT NULL,
    batch        text NOT NULL,
    state        text NOT NULL,
    version      integer NOT NULL DEFAULT 1,
    due          text NOT NULL,
    ordered_at   bigint NOT NULL,
    since        bigint NOT NULL,
    debit_count  integer NOT NULL DEFAULT 0,
    debit_fen    bigint NOT NULL DEFAULT 0,
    credit_count integer NOT NULL DEFAULT 0,
    credit_fen   bigint NOT NULL DEFAULT 0,
    result       text NOT NULL DEFAULT '',
    code         text NOT NULL DEFAULT '',
    text         text NOT NULL DEFAULT '',
    tries        integer NOT NULL DEFAULT 0,
    uploaded     integer NOT NULL DEFAULT 0,
    next_batch   text NOT NULL DEFAULT '',
    closed_at    bigint NOT NULL DEFAULT 0,
    moved_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (debit_fen >= 0 AND credit_fen >= 0)
);
COMMENT ON COLUMN settlement.since IS
    'when a batch of this number was closed before: what is older belongs to that one';

-- One at a time for each terminal, and one a day by the timetable, over all nodes.
CREATE UNIQUE INDEX settlement_open ON settlement (bank, merchant, terminal)
    WHERE state IN ('ordered', 'settling', 'uploading');
CREATE UNIQUE INDEX settlement_due ON settlement (bank, merchant, terminal, due) WHERE due <> '';
CREATE INDEX settlement_batch ON settlement (bank, merchant, terminal, batch);

CREATE TRIGGER settlement_stays BEFORE DELETE ON settlement
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER settlement_stays_all BEFORE TRUNCATE ON settlement
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- No row when one is under way for this terminal, or was ordered for this day.
CREATE FUNCTION settlement_order(
    bank_ text, merchant_ text, terminal_ text, due_ text, at_ bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO settlement (bank, merchant, terminal, batch, state, due, ordered_at, since)
        SELECT t.bank, t.merchant, t.terminal, t.batch, 'ordered', due_,
            coalesce(at_, (extract(epoch FROM clock_timestamp()) * 1000)::bigint),
            coalesce((SELECT max(s.closed_at) FROM settlement s
                WHERE (s.bank, s.merchant, s.terminal, s.batch)
                    = (t.bank, t.merchant, t.terminal, t.batch)), 0)
        FROM logical_terminal t
        WHERE (t.bank, t.merchant, t.terminal) = (bank_, merchant_, terminal_)
        ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- K16: the batch is closed and the terminal has its next number, or neither. A batch that the bank
-- named meanwhile stays.
CREATE FUNCTION settlement_close() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE logical_terminal t SET batch = NEW.next_batch
        WHERE (t.bank, t.merchant, t.terminal, t.batch)
            = (NEW.bank, NEW.merchant, NEW.terminal, NEW.batch);
    RETURN NEW;
END $$;
CREATE TRIGGER settlement_closes AFTER UPDATE ON settlement
    FOR EACH ROW WHEN (NEW.state = 'closed' AND OLD.state <> 'closed' AND NEW.next_batch <> '')
    EXECUTE FUNCTION settlement_close();

-- As before, and no message enters a batch whose totals are committed.
CREATE OR REPLACE FUNCTION take_identities(hospital_ text, key_ text, identities json)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    i json;
    taken integer := 0;
BEGIN
    FOR i IN SELECT value FROM json_array_elements(identities) LOOP
        IF EXISTS (
            SELECT FROM settlement s
            WHERE s.bank = i->>0 AND s.merchant = i->>1 AND s.terminal = i->>2
                AND s.batch = i->>3 AND s.state IN ('settling', 'uploading'))
        THEN
            RETURN false;
        END IF;
    END LOOP;
    IF json_array_length(identities) > 1 THEN
        FOR i IN SELECT value FROM json_array_elements(identities) LOOP
            IF EXISTS (
                SELECT FROM exchange_identity x
                WHERE x.bank = i->>0 AND x.merchant = i->>1 AND x.terminal = i->>2
                    AND x.batch = i->>3 AND x.stan = i->>4 AND x.business_date = i->>5)
            THEN
                RETURN false;
            END IF;
        END LOOP;
    END IF;
    FOR i IN SELECT value FROM json_array_elements(identities) LOOP
        INSERT INTO exchange_identity
            VALUES (i->>0, i->>1, i->>2, i->>3, i->>4, i->>5, hospital_, key_)
            ON CONFLICT DO NOTHING;
        IF FOUND THEN
            taken := taken + 1;
        ELSIF taken = 0 THEN
            RETURN false;
        ELSE
            RAISE EXCEPTION 'identities raced: apply again' USING ERRCODE = 'YYT01';
        END IF;
    END LOOP;
    RETURN true;
END $$;
