-- Notices owed to banks (results of issuer scripts): store and forward, until acknowledged.

CREATE TABLE notice (
    key     text PRIMARY KEY,
    due_at  bigint NOT NULL,
    tries   integer NOT NULL DEFAULT 0,
    ended   text NOT NULL DEFAULT '',
    code    text NOT NULL DEFAULT '',
    owed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN notice.ended IS 'acknowledged, refused or not_owed; empty while it is owed';
CREATE INDEX notice_due ON notice (due_at) WHERE ended = '';

CREATE TRIGGER notice_stays BEFORE DELETE ON notice
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER notice_stays_all BEFORE TRUNCATE ON notice
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
