-- STANs of a terminal go on from batch to batch: one counter for each terminal. A late answer is
-- known by terminal and STAN (the MUX), so a number must not come back with the next batch while an
-- answer to it may still be on its way (I5, I8).

ALTER TABLE logical_terminal
    ADD COLUMN next_stan integer NOT NULL DEFAULT 1 CHECK (next_stan BETWEEN 1 AND 999999);
UPDATE logical_terminal t SET next_stan = (
    SELECT coalesce(max(b.next_stan), 1) FROM terminal_batch b
    WHERE (b.bank, b.merchant, b.terminal) = (t.bank, t.merchant, t.terminal));
DROP TABLE terminal_batch;
ALTER TABLE logical_terminal SET (fillfactor = 50);

-- The bank named a batch: the terminal's from now on.
CREATE OR REPLACE FUNCTION stan_counter(bank_ text, merchant_ text, terminal_ text, batch_ text)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO logical_terminal (bank, merchant, terminal, batch)
        VALUES (bank_, merchant_, terminal_, batch_)
        ON CONFLICT (bank, merchant, terminal) DO UPDATE SET batch = EXCLUDED.batch;
    RETURN batch_;
END $$;

-- As before: the block may be shorter than asked for, it never runs over the end of the numbers.
CREATE OR REPLACE FUNCTION reserve_stans(
    bank_ text, merchant_ text, terminal_ text, count_ integer)
RETURNS TABLE (batch text, first integer, last integer) LANGUAGE plpgsql AS $$
DECLARE
    current text;
    start integer;
    upto integer;
BEGIN
    INSERT INTO logical_terminal (bank, merchant, terminal) VALUES (bank_, merchant_, terminal_)
        ON CONFLICT DO NOTHING;
    SELECT t.batch, t.next_stan INTO STRICT current, start FROM logical_terminal t
        WHERE (t.bank, t.merchant, t.terminal) = (bank_, merchant_, terminal_)
        FOR NO KEY UPDATE;
    upto := least(start + count_ - 1, 999999);
    UPDATE logical_terminal t SET next_stan = CASE upto WHEN 999999 THEN 1 ELSE upto + 1 END
        WHERE (t.bank, t.merchant, t.terminal) = (bank_, merchant_, terminal_);
    RETURN QUERY SELECT current, start, upto;
END $$;

CREATE OR REPLACE FUNCTION jump_stans(by_ integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    jumped bigint;
BEGIN
    UPDATE logical_terminal SET next_stan = (next_stan + by_ - 1) % 999999 + 1;
    GET DIAGNOSTICS jumped = ROW_COUNT;
    RETURN jumped;
END $$;
