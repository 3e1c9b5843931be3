"""Everything the first version stores."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

REGISTRY = """
CREATE TABLE IF NOT EXISTS platform (
    id serial PRIMARY KEY,
    code varchar(64) NOT NULL UNIQUE,
    name_zh varchar(200) NOT NULL,
    name_en varchar(200) NOT NULL,
    level varchar(16) NOT NULL CHECK (level IN ('university', 'college', 'department')),
    parent_id int REFERENCES platform ON DELETE RESTRICT,
    policy jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS instrument (
    id serial PRIMARY KEY,
    code varchar(64) NOT NULL UNIQUE,
    name_zh varchar(200) NOT NULL,
    name_en varchar(200) NOT NULL,
    model varchar(200) NOT NULL DEFAULT '',
    place varchar(200) NOT NULL DEFAULT '',
    category varchar(6) NOT NULL DEFAULT '',
    value_cny numeric(14, 2) NOT NULL CHECK (value_cny >= 0),
    in_service_since date,
    platform_id int NOT NULL REFERENCES platform ON DELETE RESTRICT,
    policy jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS controller (
    id serial PRIMARY KEY,
    name varchar(64) NOT NULL UNIQUE,
    instrument_id int NOT NULL UNIQUE REFERENCES instrument ON DELETE RESTRICT,
    password_hash varchar(300) NOT NULL,
    registered timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS person (
    id serial PRIMARY KEY,
    username varchar(64) NOT NULL UNIQUE,
    password_hash varchar(300) NOT NULL,
    name varchar(200) NOT NULL,
    role varchar(32) NOT NULL
);
CREATE TABLE IF NOT EXISTS sign_in (
    digest varchar(64) PRIMARY KEY,
    person_id int NOT NULL REFERENCES person ON DELETE CASCADE,
    expires timestamptz NOT NULL
);
"""

LOG = """
CREATE TABLE IF NOT EXISTS reading (
    time timestamptz NOT NULL,
    received timestamptz NOT NULL,
    controller_id int NOT NULL,
    boot text NOT NULL,
    seq bigint NOT NULL,
    power_w double precision NOT NULL,
    energy_wh double precision,
    relay boolean,
    occupied boolean,
    door_open boolean,
    hist boolean NOT NULL
);
CREATE INDEX IF NOT EXISTS reading_controller_time ON reading (controller_id, time DESC);
CREATE TABLE IF NOT EXISTS event (
    time timestamptz NOT NULL,
    received timestamptz NOT NULL,
    controller_id int NOT NULL,
    kind text NOT NULL,
    body jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS event_controller_time ON event (controller_id, time DESC);
CREATE TABLE IF NOT EXISTS quarantine (
    id bigserial PRIMARY KEY,
    received timestamptz NOT NULL,
    topic text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX IF NOT EXISTS quarantine_received ON quarantine (received);
"""

HYPERTABLES = """
CREATE EXTENSION IF NOT EXISTS timescaledb;
SELECT create_hypertable('reading', by_range('time', INTERVAL '1 day'),
                         create_default_indexes => false, if_not_exists => true);
SELECT create_hypertable('event', by_range('time', INTERVAL '30 days'),
                         create_default_indexes => false, if_not_exists => true);
"""

BOOKS = """
CREATE TABLE IF NOT EXISTS checkpoint (
    controller_id int PRIMARY KEY REFERENCES controller ON DELETE CASCADE,
    version smallint NOT NULL,
    state bytea NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS segment (
    instrument_id int NOT NULL REFERENCES instrument ON DELETE RESTRICT,
    start timestamptz NOT NULL,
    until timestamptz,
    category text NOT NULL,
    PRIMARY KEY (instrument_id, start),
    CHECK (until > start)
);
CREATE UNIQUE INDEX IF NOT EXISTS segment_open ON segment (instrument_id) WHERE until IS NULL;
CREATE TABLE IF NOT EXISTS mark (
    controller_id int NOT NULL REFERENCES controller ON DELETE CASCADE,
    at timestamptz NOT NULL,
    version smallint NOT NULL,
    book bytea NOT NULL,
    PRIMARY KEY (controller_id, at)
);
CREATE TABLE IF NOT EXISTS writer (
    name text PRIMARY KEY,
    batch text NOT NULL
);
"""


class Migration(TortoiseMigration):
    """Registry, people, the log as hypertables, the books."""

    operations = [RunSQL(REGISTRY), RunSQL(LOG), RunSQL(HYPERTABLES), RunSQL(BOOKS)]  # noqa: RUF012
