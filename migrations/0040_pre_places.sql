-- The schema of `places`: administrative units as dated facts, what they became, their outlines. See ADR 0037.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE SCHEMA IF NOT EXISTS places;

-- Which facts are loaded, and which were before: one row for each release of each collection.
CREATE TABLE IF NOT EXISTS places.release (
    name text NOT NULL,
    checksum text NOT NULL,
    as_of date NOT NULL,
    title text NOT NULL,
    provenance text NOT NULL,
    licence text NOT NULL,
    attribution text NOT NULL,
    loaded_at timestamptz NOT NULL,
    CONSTRAINT release_pkey PRIMARY KEY (name, checksum)
);
COMMENT ON TABLE places.release IS 'Collections of facts that were loaded, with provenance and licence';
COMMENT ON COLUMN places.release.name IS 'personal: no';
COMMENT ON COLUMN places.release.checksum IS 'personal: no';
COMMENT ON COLUMN places.release.title IS 'personal: no';
COMMENT ON COLUMN places.release.provenance IS 'personal: no';
COMMENT ON COLUMN places.release.licence IS 'personal: no';
COMMENT ON COLUMN places.release.attribution IS 'personal: no';

-- One row: changes whenever units, links or outlines do, so that what is kept in memory is known to be old.
CREATE TABLE IF NOT EXISTS places.edition (
    one_row boolean NOT NULL DEFAULT TRUE,
    edition uuid NOT NULL,
    CONSTRAINT edition_pkey PRIMARY KEY (one_row),
    CONSTRAINT edition_is_one_row CHECK (one_row)
);
COMMENT ON TABLE places.edition IS 'Which state of units, links and outlines this is';

-- A unit as it was for a time. `origin` says who wrote it, `end_origin` who ended it: a release of facts,
-- or a change made here, which no later release undoes.
CREATE TABLE IF NOT EXISTS places.unit (
    unit_id text NOT NULL,
    level text NOT NULL,
    kind text NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    full_name text NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    name_en text,
    parent_id text,
    valid_from date,
    valid_to date,
    legal_basis text,
    ended_by text,
    area_km2 numeric,
    population bigint,
    population_on date,
    population_doubtful boolean NOT NULL DEFAULT FALSE,
    centre text,
    longitude double precision,
    latitude double precision,
    verified boolean NOT NULL,
    origin text NOT NULL,
    end_origin text NOT NULL,
    CONSTRAINT unit_pkey PRIMARY KEY (unit_id),
    CONSTRAINT unit_parent_is_a_unit FOREIGN KEY (parent_id) REFERENCES places.unit (unit_id)
    DEFERRABLE INITIALLY IMMEDIATE,
    CONSTRAINT unit_level_is_known CHECK (level IN ('province', 'district', 'ward')),
    CONSTRAINT unit_ends_after_it_begins CHECK (valid_from < valid_to),
    CONSTRAINT unit_area_is_known_or_null CHECK (area_km2 > 0),
    CONSTRAINT unit_population_is_known_or_null CHECK (population > 0),
    CONSTRAINT unit_label_is_a_point CHECK ((longitude IS NULL) = (latitude IS NULL)),
    CONSTRAINT unit_origin_is_known CHECK (origin IN ('facts', 'change')),
    CONSTRAINT unit_end_origin_is_known CHECK (end_origin IN ('facts', 'change'))
);
COMMENT ON TABLE places.unit IS 'Administrative units, each as it was for a time';
COMMENT ON COLUMN places.unit.unit_id IS 'personal: no';
COMMENT ON COLUMN places.unit.level IS 'personal: no';
COMMENT ON COLUMN places.unit.kind IS 'personal: no';
COMMENT ON COLUMN places.unit.code IS 'personal: no';
COMMENT ON COLUMN places.unit.name IS 'personal: no';
COMMENT ON COLUMN places.unit.full_name IS 'personal: no';
COMMENT ON COLUMN places.unit.name_key IS 'personal: no';
COMMENT ON COLUMN places.unit.name_en IS 'personal: no';
COMMENT ON COLUMN places.unit.parent_id IS 'personal: no';
COMMENT ON COLUMN places.unit.legal_basis IS 'personal: no';
COMMENT ON COLUMN places.unit.ended_by IS 'personal: no';
COMMENT ON COLUMN places.unit.centre IS 'personal: no';
COMMENT ON COLUMN places.unit.origin IS 'personal: no';
COMMENT ON COLUMN places.unit.end_origin IS 'personal: no';

CREATE INDEX IF NOT EXISTS unit_by_parent ON places.unit (parent_id);
CREATE INDEX IF NOT EXISTS unit_by_code ON places.unit (level, code);

-- What a unit became. A share that is not known is NULL.
CREATE TABLE IF NOT EXISTS places.link (
    from_id text NOT NULL,
    to_id text NOT NULL,
    kind text NOT NULL,
    share double precision,
    people_share double precision,
    takes_effect date NOT NULL,
    legal_basis text,
    verified boolean NOT NULL,
    origin text NOT NULL,
    CONSTRAINT link_pkey PRIMARY KEY (from_id, to_id, takes_effect),
    CONSTRAINT link_from_is_a_unit FOREIGN KEY (from_id) REFERENCES places.unit (unit_id),
    CONSTRAINT link_to_is_a_unit FOREIGN KEY (to_id) REFERENCES places.unit (unit_id),
    CONSTRAINT link_leads_elsewhere CHECK (from_id <> to_id),
    CONSTRAINT link_kind_is_known CHECK (kind IN ('continues', 'merge', 'split', 'part')),
    CONSTRAINT link_share_is_a_part CHECK (share BETWEEN 0 AND 1),
    CONSTRAINT link_people_share_is_a_part CHECK (people_share BETWEEN 0 AND 1),
    CONSTRAINT link_origin_is_known CHECK (origin IN ('facts', 'change'))
);
COMMENT ON TABLE places.link IS 'What each unit became';
COMMENT ON COLUMN places.link.from_id IS 'personal: no';
COMMENT ON COLUMN places.link.to_id IS 'personal: no';
COMMENT ON COLUMN places.link.kind IS 'personal: no';
COMMENT ON COLUMN places.link.legal_basis IS 'personal: no';
COMMENT ON COLUMN places.link.origin IS 'personal: no';

CREATE INDEX IF NOT EXISTS link_by_to ON places.link (to_id);

-- Outlines as well-known binary (OGC 06-103r4), polygons or multipolygons in WGS 84, longitude first.
CREATE TABLE IF NOT EXISTS places.outline (
    unit_id text NOT NULL,
    box box NOT NULL,
    shape bytea NOT NULL,
    accuracy_m double precision NOT NULL,
    origin text NOT NULL,
    CONSTRAINT outline_pkey PRIMARY KEY (unit_id),
    CONSTRAINT outline_is_of_a_unit FOREIGN KEY (unit_id) REFERENCES places.unit (unit_id),
    CONSTRAINT outline_accuracy_is_positive CHECK (accuracy_m > 0),
    CONSTRAINT outline_origin_is_known CHECK (origin IN ('facts', 'change'))
);
COMMENT ON TABLE places.outline IS 'The outlines we hold, each with how far it may be off';
COMMENT ON COLUMN places.outline.unit_id IS 'personal: no';
COMMENT ON COLUMN places.outline.shape IS 'personal: no';
COMMENT ON COLUMN places.outline.origin IS 'personal: no';

CREATE INDEX IF NOT EXISTS outline_box ON places.outline USING gist (box);

-- Former units that people still report by.
CREATE TABLE IF NOT EXISTS places.reporting_area (
    area_id text NOT NULL,
    name text NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    former_id text NOT NULL,
    origin text NOT NULL,
    CONSTRAINT reporting_area_pkey PRIMARY KEY (area_id),
    CONSTRAINT reporting_area_was_a_unit FOREIGN KEY (former_id) REFERENCES places.unit (unit_id),
    CONSTRAINT reporting_area_origin_is_known CHECK (origin IN ('facts', 'change'))
);
COMMENT ON TABLE places.reporting_area IS 'Former units that people still report by';
COMMENT ON COLUMN places.reporting_area.area_id IS 'personal: no';
COMMENT ON COLUMN places.reporting_area.name IS 'personal: no';
COMMENT ON COLUMN places.reporting_area.name_key IS 'personal: no';
COMMENT ON COLUMN places.reporting_area.former_id IS 'personal: no';
COMMENT ON COLUMN places.reporting_area.origin IS 'personal: no';

-- For the rooms above: every unit with its time and the box and shape of its outline, if there is one. The box
-- selects (`box @> box(point(x, y), point(x, y))`), the day is compared, and shapely decides on the shape.
CREATE OR REPLACE VIEW places.unit_at AS
SELECT
    unit.unit_id,
    unit.level,
    unit.kind,
    unit.code,
    unit.name,
    unit.full_name,
    unit.name_key,
    unit.parent_id,
    unit.valid_from,
    unit.valid_to,
    outline.box,
    outline.shape,
    outline.accuracy_m
FROM places.unit AS unit
LEFT JOIN places.outline AS outline ON unit.unit_id = outline.unit_id;
COMMENT ON VIEW places.unit_at IS 'published: every unit with its time, and the outline we hold of it';

-- For the rooms above: the units of this day, by the server's clock in Vietnam.
CREATE OR REPLACE VIEW places.unit_now AS
SELECT
    unit.unit_id,
    unit.level,
    unit.kind,
    unit.code,
    unit.name,
    unit.full_name,
    unit.name_key,
    unit.parent_id,
    unit.population,
    unit.area_km2
FROM places.unit AS unit
WHERE
    coalesce(unit.valid_from, '-infinity'::date) <= (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date
    AND coalesce(unit.valid_to, 'infinity'::date) > (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date;
COMMENT ON VIEW places.unit_now IS 'published: the units there are today';
