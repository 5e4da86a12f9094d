-- A logical terminal belongs to one node at a time (rules 15 and 16), for as long as the node's
-- lease lasts. docs/journal.md says how it changes hands.

CREATE TABLE terminal_holder (
    bank         text NOT NULL,
    merchant     text NOT NULL,
    terminal     text NOT NULL,
    owner        text NOT NULL DEFAULT '',
    fence        bigint NOT NULL DEFAULT 0,
    number       bigint NOT NULL DEFAULT 0,
    wanted_by    text NOT NULL DEFAULT '',
    wanted_until timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (bank, merchant, terminal)
) WITH (fillfactor = 50);
COMMENT ON COLUMN terminal_holder.owner IS 'name of a node; empty: nobody''s';
COMMENT ON COLUMN terminal_holder.fence IS 'epoch of the process that holds it (I13)';
COMMENT ON COLUMN terminal_holder.number IS 'grows with every change of hands';

-- Take what is free, and say of each whose it is. A process without a lease takes nothing. Another
-- node's terminal is free when the lease it was held under ended patience_ms_ ago; that of our own
-- predecessor as soon as it is known to be dead, else when its lease is over.
CREATE FUNCTION hold_terminals(node_ text, fence_ bigint, bank_ text, merchants text[],
                               terminals text[], patience_ms_ bigint)
RETURNS TABLE (merchant text, terminal text, owner text, ours boolean, number bigint,
               wanted_by text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
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
            CASE WHEN h.wanted_until > clock_timestamp() THEN h.wanted_by ELSE '' END
        FROM unnest(merchants, terminals) AS w(m, t)
        JOIN terminal_holder h ON (h.bank, h.merchant, h.terminal) = (bank_, w.m, w.t);
END $$;

-- A wish of another node that has not ended is left as it is.
CREATE FUNCTION want_terminals(node_ text, fence_ bigint, bank_ text, merchants text[],
                               terminals text[], for_ms bigint)
RETURNS void LANGUAGE sql AS $$
    WITH wished AS (
        SELECT h.bank, h.merchant, h.terminal
        FROM unnest(merchants, terminals) AS w(m, t)
        JOIN terminal_holder h ON (h.bank, h.merchant, h.terminal) = (bank_, w.m, w.t)
        WHERE h.fence <> fence_
            AND (h.wanted_by = node_ OR h.wanted_until <= clock_timestamp())
        FOR NO KEY UPDATE OF h SKIP LOCKED)
    UPDATE terminal_holder h
        SET wanted_by = node_, wanted_until = clock_timestamp() + for_ms * interval '1 ms'
        FROM wished w
        WHERE (h.bank, h.merchant, h.terminal) = (w.bank, w.merchant, w.terminal)
$$;

-- To the process that wants it, if that is alive, else to nobody.
CREATE FUNCTION give_up_terminal(fence_ bigint, bank_ text, merchant_ text, terminal_ text)
RETURNS void LANGUAGE sql AS $$
    UPDATE terminal_holder h SET
        owner = coalesce(n.name, ''), fence = coalesce(n.epoch, 0), number = h.number + 1,
        wanted_by = '', wanted_until = '-infinity'
    FROM terminal_holder o
        LEFT JOIN node n ON n.name = o.wanted_by AND o.wanted_until > clock_timestamp()
            AND n.lease_until > clock_timestamp()
    WHERE (o.bank, o.merchant, o.terminal) = (bank_, merchant_, terminal_)
        AND (h.bank, h.merchant, h.terminal) = (bank_, merchant_, terminal_)
        AND h.fence = fence_
$$;
