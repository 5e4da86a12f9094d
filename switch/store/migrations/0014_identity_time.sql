-- When a message got its number: banks use batch numbers again, some of them one for ever, and a batch
-- must be counted without reading what came before it (rule 19).

-- What is there counts as taken now: it may be of the present batch, and a time line tells.
DO $$
BEGIN
    EXECUTE format('ALTER TABLE exchange_identity ADD COLUMN taken_at bigint NOT NULL DEFAULT %s',
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
END $$;
ALTER TABLE exchange_identity ALTER COLUMN taken_at
    SET DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
COMMENT ON COLUMN exchange_identity.taken_at IS 'by the clock of the database, milliseconds';
CREATE INDEX exchange_identity_batch
    ON exchange_identity (bank, merchant, terminal, batch, taken_at);
