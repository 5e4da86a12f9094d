-- One group commit = one call of journal_apply = one round trip and one fsync.
--
-- It applies every write on its own merits: one that loses (same key, same bill, same identity,
-- another driver) changes nothing and does not disturb the others. Only losers are returned.
-- Applying a write twice is the same as once: (writer, write_no) in payment_event tells (K19).

-- Does this payment, as it is being written, still claim its bill? (rule 12)
CREATE FUNCTION claims_bill(rest text) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT rest IS NULL OR rest IN ('done', 'exception') $$;

-- True when all identities (a JSON list of 6-tuples) are now this payment's; false when another
-- holds one of them, and then none was inserted.
CREATE FUNCTION take_identities(hospital_ text, key_ text, identities json)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    i json;
    taken integer := 0;
BEGIN
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

-- enable_seqscan: its plans are made once for a session, perhaps on empty tables, and must be
-- right for full ones.
CREATE FUNCTION journal_apply(writer_ bigint, fence_ bigint, node_ text, batch json)
RETURNS TABLE (n bigint, verdict text, row_state text, row_checksum bigint)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    w record;
    written boolean;
    took boolean;
    claims boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM node WHERE name = node_ AND epoch = fence_) THEN
        RAISE EXCEPTION 'I13: node % was started again elsewhere', node_ USING ERRCODE = 'YYT13';
    END IF;
    FOR w IN SELECT * FROM json_to_recordset(batch) AS x(
        no bigint, key text, version integer, hospital text, business text,
        terminal text, bill text, original text, patient text, amount_fen bigint,
        request_hash text, business_date text, stage text, rest text, born_at bigint,
        deadline_at bigint, checksum bigint, state json, trail text, event json,
        identities json, late text)
    LOOP
        n := w.no;
        verdict := NULL;
        row_state := NULL;
        row_checksum := NULL;
        IF w.late IS NOT NULL THEN
            -- Ids become visible in their own order, so that a reader polling by id misses none.
            PERFORM pg_advisory_xact_lock(7921404, 1);
            INSERT INTO late_reply (key, writer, write_no, what)
                VALUES (w.key, writer_, w.no, w.late) ON CONFLICT DO NOTHING;
            CONTINUE;
        END IF;
        took := w.identities IS NULL;
        IF w.version = 1 THEN
            claims := w.bill <> '' AND w.original = '' AND claims_bill(w.rest);
            IF NOT took AND NOT EXISTS (SELECT FROM payment p WHERE p.key = w.key)
                AND NOT (claims AND EXISTS (SELECT FROM payment p
                    WHERE p.hospital = w.hospital AND p.bill = w.bill AND p.holds_bill))
            THEN
                took := take_identities(w.hospital, w.key, w.identities);
                IF NOT took THEN
                    verdict := 'identity';
                    RETURN NEXT;
                    CONTINUE;
                END IF;
            END IF;
            INSERT INTO payment VALUES (
                w.key, w.hospital, w.business, w.terminal, w.bill, w.patient, w.amount_fen,
                w.request_hash, w.business_date, w.stage, w.rest, 1, fence_, node_, w.born_at,
                w.deadline_at, clock_timestamp(), claims, w.checksum, w.state)
                ON CONFLICT DO NOTHING;
            written := FOUND;
        ELSE
            IF NOT took THEN
                PERFORM FROM payment p WHERE p.key = w.key AND p.version = w.version - 1
                    AND p.fence = fence_ FOR NO KEY UPDATE;
                IF FOUND THEN
                    took := take_identities(w.hospital, w.key, w.identities);
                    IF NOT took THEN
                        verdict := 'identity';
                        SELECT p.state::text, p.checksum INTO row_state, row_checksum
                            FROM payment p WHERE p.key = w.key;
                        RETURN NEXT;
                        CONTINUE;
                    END IF;
                END IF;
            END IF;
            -- I13: only the driver writes, and only from the state it decided on.
            UPDATE payment p SET
                stage = w.stage, rest = w.rest, version = w.version,
                deadline_at = w.deadline_at, updated_at = clock_timestamp(),
                holds_bill = p.holds_bill AND claims_bill(w.rest),
                checksum = w.checksum, state = w.state
                WHERE p.key = w.key AND p.version = w.version - 1 AND p.fence = fence_;
            written := FOUND;
        END IF;
        IF written AND NOT took THEN
            RAISE EXCEPTION 'written without its identities: apply again' USING ERRCODE = 'YYT01';
        ELSIF written THEN
            INSERT INTO payment_event (key, version, hospital, writer, write_no, trail, event)
                VALUES (w.key, w.version, w.hospital, writer_, w.no, w.trail, w.event);
            CONTINUE;
        END IF;
        IF EXISTS (SELECT FROM payment_event e WHERE e.key = w.key AND e.version = w.version
                   AND e.writer = writer_ AND e.write_no = w.no) THEN
            CONTINUE;  -- K19: an earlier attempt of this very write was committed
        END IF;
        SELECT p.state::text, p.checksum INTO row_state, row_checksum
            FROM payment p WHERE p.key = w.key;
        verdict := CASE WHEN w.version > 1 THEN 'fence' WHEN FOUND THEN 'exists' ELSE 'bill' END;
        IF verdict = 'bill' THEN
            IF took AND w.identities IS NOT NULL THEN
                RAISE EXCEPTION 'a first write lost with identities taken' USING ERRCODE = 'YYT01';
            END IF;
            SELECT p.state::text, p.checksum INTO row_state, row_checksum FROM payment p
                WHERE p.hospital = w.hospital AND p.bill = w.bill AND p.holds_bill;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'a bill was freed meanwhile: apply again' USING ERRCODE = 'YYT01';
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
