-- What a settlement must not forget, and no message enters a closed batch (rule 19).

ALTER TABLE settlement
    ADD COLUMN unknown_seen boolean NOT NULL DEFAULT false,
    ADD COLUMN uploaded_last text NOT NULL DEFAULT '';
COMMENT ON COLUMN settlement.unknown_seen IS
    'totals went out, or may have, and no answer came: the bank may have closed the batch (I9)';
COMMENT ON COLUMN settlement.uploaded_last IS
    'STAN and payment of the last transaction that the upload has behind it';

-- As before, and none enters a batch that is closed and no longer its terminal's: a process that
-- still has numbers of it did not hear of its end. A number that the bank uses again is in use.
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
                AND s.batch = i->>3 AND (s.state IN ('settling', 'uploading')
                    OR s.state = 'closed' AND EXISTS (
                        SELECT FROM logical_terminal t
                        WHERE (t.bank, t.merchant, t.terminal)
                            = (s.bank, s.merchant, s.terminal) AND t.batch <> s.batch)))
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
