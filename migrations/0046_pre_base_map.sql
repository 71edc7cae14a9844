-- The base maps a province has built, and the streets, waters and places that can be found in each.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE SCHEMA IF NOT EXISTS places;

-- One archive of tiles among the object files, what it was made from, and the line its licence asks for.
CREATE TABLE IF NOT EXISTS places.base_map (
    tenant text NOT NULL,
    base_map_id uuid NOT NULL,
    content_id text NOT NULL,
    archive_bytes bigint NOT NULL,
    sources text [] NOT NULL,
    systems text [] NOT NULL,
    licence text NOT NULL,
    layers text [] NOT NULL,
    features bigint [] NOT NULL,
    tiles bigint NOT NULL,
    box box NOT NULL,
    built_at timestamptz NOT NULL,
    built_by text NOT NULL,
    in_use boolean NOT NULL DEFAULT false,
    CONSTRAINT base_map_pkey PRIMARY KEY (tenant, base_map_id),
    CONSTRAINT base_map_says_its_licence CHECK (licence <> ''),
    CONSTRAINT base_map_counts_each_layer CHECK (cardinality(layers) = cardinality(features))
);
COMMENT ON COLUMN places.base_map.tenant IS 'personal: no';
COMMENT ON COLUMN places.base_map.content_id IS 'personal: no';
COMMENT ON COLUMN places.base_map.sources IS 'personal: no; names of files';
COMMENT ON COLUMN places.base_map.systems IS 'personal: no';
COMMENT ON COLUMN places.base_map.licence IS 'personal: no';
COMMENT ON COLUMN places.base_map.layers IS 'personal: no';
COMMENT ON COLUMN places.base_map.built_by IS
'personal: pseudonymous id of the actor; purpose: who built which map; basis: public task; kept: as long as the map';

-- Whichever map is in use, it is one.
CREATE UNIQUE INDEX IF NOT EXISTS base_map_in_use ON places.base_map (tenant) WHERE in_use;

-- What a base map names: the gazetteer of the search box.
CREATE TABLE IF NOT EXISTS places.named_place (
    tenant text NOT NULL,
    base_map_id uuid NOT NULL,
    place_no integer NOT NULL,
    name text NOT NULL,
    name_en text,
    layer text NOT NULL,
    kind text NOT NULL,
    weight integer NOT NULL,
    longitude double precision NOT NULL,
    latitude double precision NOT NULL,
    CONSTRAINT named_place_pkey PRIMARY KEY (tenant, base_map_id, place_no),
    CONSTRAINT named_place_of_base_map FOREIGN KEY (tenant, base_map_id)
    REFERENCES places.base_map (tenant, base_map_id) ON DELETE CASCADE,
    CONSTRAINT named_place_layer_is_known CHECK (layer IN ('street', 'water', 'place'))
);
COMMENT ON COLUMN places.named_place.tenant IS 'personal: no';
COMMENT ON COLUMN places.named_place.name IS 'personal: no';
COMMENT ON COLUMN places.named_place.name_en IS 'personal: no';
COMMENT ON COLUMN places.named_place.layer IS 'personal: no';
COMMENT ON COLUMN places.named_place.kind IS 'personal: no';

-- Each word of a folded name and what follows it, so that "hue" finds "Đường Nguyễn Huệ" by an index.
CREATE TABLE IF NOT EXISTS places.named_place_start (
    tenant text NOT NULL,
    base_map_id uuid NOT NULL,
    start text NOT NULL,
    word integer NOT NULL,
    place_no integer NOT NULL,
    CONSTRAINT named_place_start_pkey PRIMARY KEY (tenant, base_map_id, start, place_no),
    CONSTRAINT named_place_start_of_place FOREIGN KEY (tenant, base_map_id, place_no)
    REFERENCES places.named_place (tenant, base_map_id, place_no) ON DELETE CASCADE
);
COMMENT ON COLUMN places.named_place_start.tenant IS 'personal: no';
COMMENT ON COLUMN places.named_place_start.start IS 'personal: no';

CREATE INDEX IF NOT EXISTS named_place_start_by_place
ON places.named_place_start (tenant, base_map_id, place_no);

CREATE INDEX IF NOT EXISTS named_place_start_by_beginning
ON places.named_place_start (tenant, base_map_id, start text_pattern_ops, word, place_no);
