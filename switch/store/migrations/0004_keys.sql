-- The key store: keys under an LMK of the HSM, never clear. docs/keys.md says how they live.

CREATE TABLE stored_key (
    id            bigserial PRIMARY KEY,
    name          text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    version       integer NOT NULL CHECK (version >= 1),
    usage         text NOT NULL,
    key_type      text NOT NULL,
    scheme        text NOT NULL,
    lmk_id        text NOT NULL CHECK (lmk_id ~ '^[0-9]{2}$'),
    held          text NOT NULL,
    check_value   text NOT NULL CHECK (check_value ~ '^[0-9A-F]{6,16}$'),
    hospital      text NOT NULL DEFAULT '',
    bank          text NOT NULL DEFAULT '',
    merchant_role text NOT NULL DEFAULT '',
    merchant      text NOT NULL DEFAULT '',
    terminal      text NOT NULL DEFAULT '',
    not_before    timestamptz,
    not_after     timestamptz,
    state         text NOT NULL CHECK (state IN ('pending', 'active', 'retired', 'destroyed')),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by    text NOT NULL,
    UNIQUE (name, version),
    CHECK ((held = '') = (state = 'destroyed'))
);
COMMENT ON COLUMN stored_key.held IS
    'the cryptogram and %NN, the LMK it is under; a key block names its LMK itself';

CREATE UNIQUE INDEX stored_key_active ON stored_key (name) WHERE state = 'active';
CREATE UNIQUE INDEX stored_key_pending ON stored_key (name) WHERE state = 'pending';
-- 一机一密: no two terminals hold the same master or PIN key, and no old one comes back.
CREATE UNIQUE INDEX stored_key_one_terminal ON stored_key (check_value)
    WHERE usage IN ('TMK', 'TPK') AND state <> 'destroyed';

-- What happened to keys: who, when, what, with which check value; never a key, not even wrapped.
CREATE TABLE stored_key_event (
    id          bigserial PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    by_whom     text NOT NULL,
    what        text NOT NULL,
    name        text NOT NULL,
    version     integer NOT NULL,
    check_value text NOT NULL,
    detail      text NOT NULL DEFAULT ''
);
CREATE INDEX stored_key_event_name ON stored_key_event (name, version);

-- One change of LMK for all keys. Successors count for nodes from the flip on, all at once.
CREATE TABLE lmk_rotation (
    id          bigserial PRIMARY KEY,
    from_lmk    text NOT NULL CHECK (from_lmk ~ '^[0-9]{2}$'),
    to_lmk      text NOT NULL CHECK (to_lmk ~ '^[0-9]{2}$' AND to_lmk <> from_lmk),
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    by_whom     text NOT NULL,
    flipped_at  timestamptz,
    rounds      integer NOT NULL DEFAULT 0,
    finished_at timestamptz
);
CREATE UNIQUE INDEX lmk_rotation_open ON lmk_rotation ((true)) WHERE finished_at IS NULL;

CREATE TABLE key_successor (
    rotation bigint NOT NULL REFERENCES lmk_rotation,
    old_text text NOT NULL,
    new_text text NOT NULL,
    key_type text NOT NULL,
    PRIMARY KEY (rotation, old_text)
);
CREATE INDEX key_successor_new ON key_successor (new_text);

-- The number that nodes compare, and which of them has taken which number.
CREATE TABLE key_ring (one boolean PRIMARY KEY DEFAULT true CHECK (one), version bigint NOT NULL);
INSERT INTO key_ring (version) VALUES (1);
CREATE TABLE key_ring_node (
    node     text PRIMARY KEY,
    version  bigint NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION key_ring_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE key_ring SET version = version + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER stored_key_changed AFTER INSERT OR UPDATE ON stored_key
    FOR EACH STATEMENT EXECUTE FUNCTION key_ring_changed();
CREATE TRIGGER lmk_rotation_changed AFTER UPDATE ON lmk_rotation
    FOR EACH STATEMENT EXECUTE FUNCTION key_ring_changed();

-- The LMK that a held text is under; default_ is the one meant where the text does not say.
CREATE FUNCTION held_lmk(held text, default_ text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN held LIKE 'S%' THEN substr(held, 16, 2)
                ELSE coalesce(substring(held FROM '%([0-9]{2})$'), default_) END
$$;

-- Its scheme; a key of single length is written without a tag.
CREATE FUNCTION held_scheme(held text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(substring(held FROM '^[UTSZ]'), 'Z')
$$;

-- What a key is never changes, and no history is lost (as I15 has it for payments).
CREATE TRIGGER stored_key_stays BEFORE DELETE ON stored_key
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stored_key_stays_all BEFORE TRUNCATE ON stored_key
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stored_key_is_what_it_was BEFORE UPDATE ON stored_key
    FOR EACH ROW WHEN (
        OLD.name <> NEW.name OR OLD.version <> NEW.version OR OLD.usage <> NEW.usage
        OR OLD.key_type <> NEW.key_type OR OLD.check_value <> NEW.check_value
        OR OLD.terminal <> NEW.terminal OR OLD.merchant <> NEW.merchant OR OLD.bank <> NEW.bank
        OR OLD.state = 'destroyed'
        OR (OLD.held <> NEW.held AND OLD.lmk_id = NEW.lmk_id AND NEW.state <> 'destroyed')
    ) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stored_key_event_stays BEFORE DELETE OR UPDATE ON stored_key_event
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stored_key_event_stays_all BEFORE TRUNCATE ON stored_key_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER lmk_rotation_stays BEFORE DELETE ON lmk_rotation
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
