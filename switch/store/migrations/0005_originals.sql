-- What refers to an original (void, refund, completion; an origin that takes its payment back)
-- reserves it, or a part of it, in its own commit (I1: never more is given back than was taken).

CREATE TABLE original (
    key          text PRIMARY KEY,
    hospital     text NOT NULL,
    limit_fen    bigint NOT NULL,
    reserved_fen bigint NOT NULL,
    CHECK (reserved_fen BETWEEN 0 AND limit_fen)
);
COMMENT ON TABLE original IS 'payments that others refer to, and how much of each is spoken for';

-- NULL when what this write needs is its own now; else 'reserve' or 'identity', and nothing was
-- taken.
CREATE FUNCTION take_all(hospital_ text, key_ text, identities json, reserve json)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    amount bigint := (reserve->>'amount_fen')::bigint;
    most bigint := (reserve->>'limit_fen')::bigint;
BEGIN
    IF reserve IS NOT NULL THEN
        IF amount > most THEN
            RETURN 'reserve';
        END IF;
        INSERT INTO original AS o VALUES (reserve->>'original', hospital_, most, amount)
            ON CONFLICT (key) DO UPDATE SET reserved_fen = o.reserved_fen + amount
            WHERE o.reserved_fen + amount <= o.limit_fen;
        IF NOT FOUND THEN
            RETURN 'reserve';
        END IF;
    END IF;
    IF identities IS NOT NULL AND NOT take_identities(hospital_, key_, identities) THEN
        UPDATE original SET reserved_fen = reserved_fen - amount
            WHERE reserve IS NOT NULL AND key = reserve->>'original';
        RETURN 'identity';
    END IF;
    RETURN NULL;
END $$;

-- enable_seqscan: its plans are made once for a session, perhaps on empty tables, and must be
-- right for full ones.
CREATE OR REPLACE FUNCTION journal_apply(writer_ bigint, fence_ bigint, node_ text, batch json)
RETURNS TABLE (n bigint, verdict text, row_state text, row_checksum bigint)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    w record;
    written boolean;
    took boolean;
    claims boolean;
    kept boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM node WHERE name = node_ AND epoch = fence_) THEN
        RAISE EXCEPTION 'I13: node % was started again elsewhere', node_ USING ERRCODE = 'YYT13';
    END IF;
    FOR w IN SELECT * FROM json_to_recordset(batch) AS x(
        no bigint, key text, version integer, hospital text, business text,
        terminal text, bill text, original text, patient text, amount_fen bigint,
        request_hash text, business_date text, stage text, rest text, born_at bigint,
        deadline_at bigint, checksum bigint, state json, trail text, event json,
        identities json, late text, reserve json, release json)
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
        kept := false;
        IF w.version = 1 THEN
            claims := w.bill <> '' AND w.original = '' AND claims_bill(w.rest);
            IF NOT (took AND w.reserve IS NULL)
                AND NOT EXISTS (SELECT FROM payment p WHERE p.key = w.key)
                AND NOT (claims AND EXISTS (SELECT FROM payment p
                    WHERE p.hospital = w.hospital AND p.bill = w.bill AND p.holds_bill))
            THEN
                verdict := take_all(w.hospital, w.key, w.identities, w.reserve);
                IF verdict IS NOT NULL THEN
                    RETURN NEXT;
                    CONTINUE;
                END IF;
                took := true;
                kept := w.reserve IS NOT NULL;
            END IF;
            INSERT INTO payment VALUES (
                w.key, w.hospital, w.business, w.terminal, w.bill, w.patient, w.amount_fen,
                w.request_hash, w.business_date, w.stage, w.rest, 1, fence_, node_, w.born_at,
                w.deadline_at, clock_timestamp(), claims, w.checksum, w.state)
                ON CONFLICT DO NOTHING;
            written := FOUND;
        ELSE
            IF NOT (took AND w.reserve IS NULL) THEN
                PERFORM FROM payment p WHERE p.key = w.key AND p.version = w.version - 1
                    AND p.fence = fence_ FOR NO KEY UPDATE;
                IF FOUND THEN
                    verdict := take_all(w.hospital, w.key, w.identities, w.reserve);
                    IF verdict IS NOT NULL THEN
                        SELECT p.state::text, p.checksum INTO row_state, row_checksum
                            FROM payment p WHERE p.key = w.key;
                        RETURN NEXT;
                        CONTINUE;
                    END IF;
                    took := true;
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
            IF w.release IS NOT NULL THEN
                UPDATE original SET reserved_fen = reserved_fen - (w.release->>'amount_fen')::bigint
                    WHERE key = w.release->>'original';
            END IF;
            CONTINUE;
        END IF;
        IF kept THEN
            RAISE EXCEPTION 'a first write lost with a reserve taken' USING ERRCODE = 'YYT01';
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
