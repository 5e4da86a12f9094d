-- A key reset of a bank brings one key or both. Each key has its own age, and the moment that the bank
-- wrote into the newest reset of it that we took: an older message never comes back (rule 16).
ALTER TABLE logical_terminal
    ADD COLUMN pik_at bigint NOT NULL DEFAULT 0,
    ADD COLUMN mak_at bigint NOT NULL DEFAULT 0,
    ADD COLUMN pik_reset text NOT NULL DEFAULT '',
    ADD COLUMN mak_reset text NOT NULL DEFAULT '';
COMMENT ON COLUMN logical_terminal.installed_at IS 'of the older of its keys; milliseconds';
COMMENT ON COLUMN logical_terminal.pik_at IS 'as installed_at, of the PIN key; 0: installed_at';
COMMENT ON COLUMN logical_terminal.pik_reset IS
    'moment and number of the bank''s newest reset of it: YYYYMMDDhhmmss and F11; empty: none';
