-- A kiosk whose pad holds the bank's own PIN key gets that key as the bank sent it (docs/bank-link.md).

ALTER TABLE logical_terminal ADD COLUMN pik_cryptogram text NOT NULL DEFAULT '';
COMMENT ON COLUMN logical_terminal.pik_cryptogram IS
    'the PIN key under the bank''s TMK, of a terminal dedicated to a kiosk; else empty';
