-- STANs of logical terminals (rule 15). A block once given is never given again under its batch
-- until all 999999 numbers went round; then exchange_identity still guards the day (I8).

CREATE FUNCTION stan_counter(bank_ text, merchant_ text, terminal_ text, batch_ text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    current text;
BEGIN
    INSERT INTO logical_terminal (bank, merchant, terminal) VALUES (bank_, merchant_, terminal_)
        ON CONFLICT DO NOTHING;
    IF batch_ IS NOT NULL THEN
        UPDATE logical_terminal t SET batch = batch_
            WHERE (t.bank, t.merchant, t.terminal) = (bank_, merchant_, terminal_);
    END IF;
    SELECT t.batch INTO STRICT current FROM logical_terminal t
        WHERE (t.bank, t.merchant, t.terminal) = (bank_, merchant_, terminal_) FOR NO KEY UPDATE;
    INSERT INTO terminal_batch (bank, merchant, terminal, batch)
        VALUES (bank_, merchant_, terminal_, current) ON CONFLICT DO NOTHING;
    RETURN current;
END $$;

-- The block may be shorter than asked for: it never runs over the end of the numbers.
CREATE FUNCTION reserve_stans(bank_ text, merchant_ text, terminal_ text, count_ integer)
RETURNS TABLE (batch text, first integer, last integer) LANGUAGE plpgsql AS $$
DECLARE
    current text := stan_counter(bank_, merchant_, terminal_, NULL);
    upto integer;
    start integer;
BEGIN
    SELECT b.next_stan INTO STRICT start FROM terminal_batch b
        WHERE (b.bank, b.merchant, b.terminal, b.batch)
            = (bank_, merchant_, terminal_, current) FOR NO KEY UPDATE;
    upto := least(start + count_ - 1, 999999);
    UPDATE terminal_batch b SET next_stan = CASE upto WHEN 999999 THEN 1 ELSE upto + 1 END
        WHERE (b.bank, b.merchant, b.terminal, b.batch) = (bank_, merchant_, terminal_, current);
    RETURN QUERY SELECT current, start, upto;
END $$;

-- Rule 14: after a restore, numbers given since the backup must not come again.
CREATE FUNCTION jump_stans(by_ integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    jumped bigint;
BEGIN
    UPDATE terminal_batch SET next_stan = (next_stan + by_ - 1) % 999999 + 1;
    GET DIAGNOSTICS jumped = ROW_COUNT;
    RETURN jumped;
END $$;
