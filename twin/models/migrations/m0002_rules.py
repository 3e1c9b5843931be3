"""What the rules need: people, money and bookings they are told of; and sessions, alerts and lines that follow."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

SITE = """
CREATE TABLE IF NOT EXISTS site (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    name_zh varchar(200) NOT NULL,
    name_en varchar(200) NOT NULL,
    timezone varchar(64) NOT NULL,
    policy jsonb NOT NULL DEFAULT '{}',
    opening jsonb
);
ALTER TABLE platform ADD COLUMN IF NOT EXISTS opening jsonb;
ALTER TABLE instrument ADD COLUMN IF NOT EXISTS opening jsonb;
"""

PEOPLE = """
ALTER TABLE person
    ADD COLUMN IF NOT EXISTS category varchar(16) NOT NULL DEFAULT 'staff'
        CHECK (category IN ('student', 'teacher', 'staff', 'external')),
    ADD COLUMN IF NOT EXISTS active boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS valid_until timestamptz,
    ADD COLUMN IF NOT EXISTS payer varchar(16) NOT NULL DEFAULT 'internal'
        CHECK (payer IN ('internal', 'partner', 'external'));
CREATE TABLE IF NOT EXISTS research_group (
    id serial PRIMARY KEY,
    code varchar(64) NOT NULL UNIQUE,
    name varchar(200) NOT NULL
);
CREATE TABLE IF NOT EXISTS person_group (
    person_id int NOT NULL REFERENCES person ON DELETE CASCADE,
    group_id int NOT NULL REFERENCES research_group ON DELETE CASCADE,
    PRIMARY KEY (person_id, group_id)
);
CREATE TABLE IF NOT EXISTS person_operates (
    person_id int NOT NULL REFERENCES person ON DELETE CASCADE,
    instrument_id int NOT NULL REFERENCES instrument ON DELETE CASCADE,
    PRIMARY KEY (person_id, instrument_id)
);
CREATE TABLE IF NOT EXISTS card (
    digest varchar(64) PRIMARY KEY,
    person_id int NOT NULL REFERENCES person ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS card_person ON card (person_id);
CREATE TABLE IF NOT EXISTS qualification (
    id serial PRIMARY KEY,
    person_id int NOT NULL REFERENCES person ON DELETE CASCADE,
    instrument_id int NOT NULL REFERENCES instrument ON DELETE CASCADE,
    level varchar(16) NOT NULL CHECK (level IN ('supervised', 'independent', 'night', 'operator')),
    "from" timestamptz NOT NULL,
    until timestamptz,
    UNIQUE (person_id, instrument_id, level, "from"),
    CHECK (until > "from")
);
CREATE TABLE IF NOT EXISTS ban (
    id serial PRIMARY KEY,
    person_id int NOT NULL REFERENCES person ON DELETE CASCADE,
    instrument_id int REFERENCES instrument ON DELETE CASCADE,
    "from" timestamptz NOT NULL,
    until timestamptz,
    CHECK (until > "from")
);
CREATE INDEX IF NOT EXISTS ban_person ON ban (person_id);
"""

MONEY = """
CREATE TABLE IF NOT EXISTS project (
    id serial PRIMARY KEY,
    code varchar(64) NOT NULL UNIQUE,
    name_zh varchar(200) NOT NULL,
    name_en varchar(200) NOT NULL,
    balance_cny numeric(14, 2) NOT NULL,
    credit_line_cny numeric(14, 2) NOT NULL DEFAULT 0 CHECK (credit_line_cny >= 0),
    valid_from timestamptz,
    valid_until timestamptz,
    free_min int NOT NULL DEFAULT 0 CHECK (free_min >= 0),
    fund_share_percent int NOT NULL DEFAULT 0 CHECK (fund_share_percent BETWEEN 0 AND 100),
    fund_left_cny numeric(14, 2) NOT NULL DEFAULT 0 CHECK (fund_left_cny >= 0),
    CHECK (valid_until > valid_from)
);
CREATE TABLE IF NOT EXISTS project_payer (
    project_id int NOT NULL REFERENCES project ON DELETE CASCADE,
    person_id int NOT NULL REFERENCES person ON DELETE CASCADE,
    PRIMARY KEY (project_id, person_id)
);
CREATE TABLE IF NOT EXISTS project_instrument (
    project_id int NOT NULL REFERENCES project ON DELETE CASCADE,
    instrument_id int NOT NULL REFERENCES instrument ON DELETE CASCADE,
    PRIMARY KEY (project_id, instrument_id)
);
CREATE TABLE IF NOT EXISTS tariff (
    id serial PRIMARY KEY,
    instrument_id int NOT NULL REFERENCES instrument ON DELETE RESTRICT,
    "from" timestamptz NOT NULL,
    body jsonb NOT NULL,
    UNIQUE (instrument_id, "from")
);
"""

TIMES = """
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE TABLE IF NOT EXISTS booking (
    id serial PRIMARY KEY,
    instrument_id int NOT NULL REFERENCES instrument ON DELETE RESTRICT,
    person_id int NOT NULL REFERENCES person ON DELETE RESTRICT,
    group_id int REFERENCES research_group ON DELETE RESTRICT,
    project_id int REFERENCES project ON DELETE RESTRICT,
    start timestamptz NOT NULL,
    until timestamptz NOT NULL,
    estimate_cny numeric(14, 2) NOT NULL DEFAULT 0 CHECK (estimate_cny >= 0),
    state varchar(16) NOT NULL DEFAULT 'confirmed'
        CHECK (state IN ('confirmed', 'used', 'no_show', 'cancelled', 'late_cancelled', 'released')),
    created timestamptz NOT NULL DEFAULT now(),
    CHECK (until > start),
    CONSTRAINT booking_apart EXCLUDE USING gist (instrument_id WITH =, tstzrange(start, until) WITH &&)
        WHERE (state IN ('confirmed', 'used'))
);
CREATE INDEX IF NOT EXISTS booking_until ON booking (until);
CREATE INDEX IF NOT EXISTS booking_person ON booking (person_id, start);
CREATE TABLE IF NOT EXISTS downtime (
    id serial PRIMARY KEY,
    instrument_id int NOT NULL REFERENCES instrument ON DELETE CASCADE,
    cause varchar(16) NOT NULL CHECK (cause IN ('fault', 'outage', 'retired')),
    "from" timestamptz NOT NULL,
    until timestamptz,
    CHECK (until > "from")
);
CREATE INDEX IF NOT EXISTS downtime_instrument ON downtime (instrument_id, "from");
"""

LOG = """
ALTER TABLE reading ADD COLUMN IF NOT EXISTS number bigint NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN IF NOT EXISTS number bigint NOT NULL DEFAULT 0;
ALTER TABLE writer ADD COLUMN IF NOT EXISTS number bigint NOT NULL DEFAULT 0;
CREATE TABLE IF NOT EXISTS request (
    number bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    body jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS request_at ON request (at);
CREATE TABLE IF NOT EXISTS fact (
    key text NOT NULL,
    number bigint NOT NULL,
    at timestamptz NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (key, number)
);
CREATE TABLE IF NOT EXISTS snapshot (
    controller_id int NOT NULL REFERENCES controller ON DELETE CASCADE,
    number bigint NOT NULL,
    at timestamptz NOT NULL,
    version smallint NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (controller_id, number)
);
"""

SESSIONS = """
CREATE TABLE IF NOT EXISTS session (
    id bigint PRIMARY KEY,
    instrument_id int NOT NULL REFERENCES instrument ON DELETE RESTRICT,
    username text NOT NULL,
    project text,
    booking text,
    state text NOT NULL CHECK (state IN ('opening', 'open', 'closed', 'void')),
    requested timestamptz NOT NULL,
    opened timestamptz,
    ended timestamptz,
    reason text,
    override_reason text,
    maintenance boolean NOT NULL DEFAULT false,
    body jsonb NOT NULL DEFAULT '{}'
);
CREATE UNIQUE INDEX IF NOT EXISTS session_running ON session (instrument_id) WHERE state IN ('opening', 'open');
CREATE INDEX IF NOT EXISTS session_instrument ON session (instrument_id, requested DESC);
CREATE INDEX IF NOT EXISTS session_username ON session (username, requested DESC);
CREATE TABLE IF NOT EXISTS charge_line (
    id bigserial PRIMARY KEY,
    session_id bigint REFERENCES session ON DELETE RESTRICT,
    booking text,
    username text NOT NULL,
    project text,
    at timestamptz NOT NULL,
    cause text NOT NULL,
    gross_cny numeric(14, 2) NOT NULL,
    allowance_cny numeric(14, 2) NOT NULL,
    subsidy_cny numeric(14, 2) NOT NULL,
    allowance_min int NOT NULL,
    minutes int NOT NULL,
    reason text NOT NULL DEFAULT '',
    author text NOT NULL DEFAULT '',
    parts jsonb NOT NULL DEFAULT '[]'
);
CREATE INDEX IF NOT EXISTS charge_line_session ON charge_line (session_id);
CREATE INDEX IF NOT EXISTS charge_line_project ON charge_line (project);
CREATE TABLE IF NOT EXISTS credit_line (
    username text NOT NULL,
    number int NOT NULL,
    at timestamptz NOT NULL,
    cause text NOT NULL,
    points int NOT NULL,
    about text NOT NULL DEFAULT '',
    author text NOT NULL DEFAULT '',
    reverses int,
    PRIMARY KEY (username, number)
);
CREATE TABLE IF NOT EXISTS command (
    controller_id int NOT NULL REFERENCES controller ON DELETE CASCADE,
    id text NOT NULL,
    at timestamptz NOT NULL,
    expires timestamptz NOT NULL,
    body jsonb NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (controller_id, id)
);
"""

ALERTS = """
CREATE TABLE IF NOT EXISTS alert (
    id text PRIMARY KEY,
    instrument_id int REFERENCES instrument ON DELETE RESTRICT,
    kind text NOT NULL,
    severity text NOT NULL,
    state text NOT NULL CHECK (state IN ('firing', 'resolved')),
    since timestamptz NOT NULL,
    resolved timestamptz,
    acknowledged timestamptz,
    acknowledged_by text,
    body jsonb NOT NULL DEFAULT '{}'
);
CREATE UNIQUE INDEX IF NOT EXISTS alert_active ON alert (coalesce(instrument_id, 0), kind) WHERE state = 'firing';
CREATE INDEX IF NOT EXISTS alert_since ON alert (since DESC);
CREATE TABLE IF NOT EXISTS notice (
    alert_id text NOT NULL REFERENCES alert ON DELETE CASCADE,
    at timestamptz NOT NULL,
    step text NOT NULL,
    recipients text[] NOT NULL,
    withheld text
);
CREATE INDEX IF NOT EXISTS notice_alert ON notice (alert_id, at);
CREATE TABLE IF NOT EXISTS silence (
    id bigserial PRIMARY KEY,
    at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    author text NOT NULL,
    reason text NOT NULL,
    instrument text,
    platform text,
    kind text
);
CREATE INDEX IF NOT EXISTS silence_until ON silence (until);
"""


class Migration(TortoiseMigration):
    """The site, parties, money, bookings; the log's order, requests and facts; sessions, charges, alerts."""

    dependencies = [("models", "m0001_initial")]  # noqa: RUF012
    operations = [  # noqa: RUF012
        RunSQL(SITE),
        RunSQL(PEOPLE),
        RunSQL(MONEY),
        RunSQL(TIMES),
        RunSQL(LOG),
        RunSQL(SESSIONS),
        RunSQL(ALERTS),
    ]
