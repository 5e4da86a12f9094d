-- Payments of terminals behind a door (their names have a slash, those of kiosks have none), for the
-- totals of a batch and for finding an original. Keys are compared byte by byte.
CREATE INDEX payment_of_door ON payment (terminal, key text_pattern_ops) WHERE terminal LIKE '%/%';

-- The PIN key that we give a terminal is of another type than the one a bank gives us; a change of
-- the LMK must know it.
ALTER TABLE logical_terminal ADD COLUMN pik_type text NOT NULL DEFAULT '001'
    CHECK (pik_type IN ('001', '002', '70D'));
