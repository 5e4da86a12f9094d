-- The business date that a bank has announced (日切, I14). It only goes forward.
CREATE TABLE bank_day (
    bank          text PRIMARY KEY,
    business_date text NOT NULL CHECK (business_date ~ '^[0-9]{8}$'),
    announced_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION announce_day(bank_ text, date_ text) RETURNS text LANGUAGE sql AS $$
    INSERT INTO bank_day AS d (bank, business_date) VALUES (bank_, date_)
    ON CONFLICT (bank) DO UPDATE SET
        business_date = greatest(d.business_date, excluded.business_date),
        announced_at = CASE WHEN excluded.business_date > d.business_date
            THEN excluded.announced_at ELSE d.announced_at END
    RETURNING business_date
$$;

-- As before, and with each terminal the generation of its stored keys (another node may have
-- installed newer ones), and whether any other node is alive.
DROP FUNCTION hold_terminals(text, bigint, text, text[], text[], bigint);
CREATE FUNCTION hold_terminals(node_ text, fence_ bigint, bank_ text, merchants text[],
                               terminals text[], patience_ms_ bigint)
RETURNS TABLE (merchant text, terminal text, owner text, ours boolean, number bigint,
               wanted_by text, key_generation integer, alone boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    alone_ boolean := NOT EXISTS (SELECT FROM node n WHERE n.name <> node_
                                  AND n.lease_until > clock_timestamp());
BEGIN
    IF EXISTS (SELECT FROM node n WHERE n.name = node_ AND n.epoch = fence_
               AND n.lease_until > clock_timestamp())
    THEN
        INSERT INTO terminal_holder (bank, merchant, terminal)
            SELECT bank_, w.m, w.t FROM unnest(merchants, terminals) AS w(m, t)
            WHERE NOT EXISTS (SELECT FROM terminal_holder h
                              WHERE (h.bank, h.merchant, h.terminal) = (bank_, w.m, w.t))
            ORDER BY w.m, w.t ON CONFLICT DO NOTHING;
        WITH free AS (
            SELECT h.bank, h.merchant, h.terminal
            FROM unnest(merchants, terminals) AS w(m, t)
            JOIN terminal_holder h ON (h.bank, h.merchant, h.terminal) = (bank_, w.m, w.t)
            LEFT JOIN node n ON n.name = h.owner
            WHERE h.fence <> fence_ AND CASE
                WHEN n.name IS NULL THEN true
                WHEN n.name = node_ THEN clock_timestamp() >= n.predecessor_until
                ELSE clock_timestamp() > patience_ms_ * interval '1 ms' + CASE
                    WHEN n.epoch = h.fence THEN n.lease_until ELSE n.predecessor_until END
                END
            FOR NO KEY UPDATE OF h SKIP LOCKED)
        UPDATE terminal_holder h SET owner = node_, fence = fence_, number = h.number + 1,
            wanted_by = CASE h.wanted_by WHEN node_ THEN '' ELSE h.wanted_by END
            FROM free f
            WHERE (h.bank, h.merchant, h.terminal) = (f.bank, f.merchant, f.terminal);
    END IF;
    RETURN QUERY
        SELECT h.merchant, h.terminal, h.owner, h.fence = fence_, h.number,
            CASE WHEN h.wanted_until > clock_timestamp() THEN h.wanted_by ELSE '' END,
            coalesce(t.key_generation, 0), alone_
        FROM unnest(merchants, terminals) AS w(m, t)
        JOIN terminal_holder h ON (h.bank, h.merchant, h.terminal) = (bank_, w.m, w.t)
        LEFT JOIN logical_terminal t ON (t.bank, t.merchant, t.terminal) = (bank_, w.m, w.t);
END $$;
