-- Entities of a type in the order of the map's cells: a tile of any zoom is one stretch of an index.
SET lock_timeout = '4s';
SET statement_timeout = '10min';

-- The cell of the middle of a box: column and row of the map of zoom 22 (Web Mercator), their bits by
-- turns, the row's the higher. It says what kernel.tiles.Tile.cells says; a test compares.
CREATE OR REPLACE FUNCTION context.cell_of(place box) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    middle point := center(place);
    latitude double precision := radians(greatest(-85.0511287798, least(85.0511287798, middle[1])));
    x bigint := greatest(0, least(4194303, floor((middle[0] + 180) / 360 * 4194304)));
    y bigint := greatest(0, least(4194303,
        floor((0.5 - ln(tan(latitude) + 1 / cos(latitude)) / (2 * pi())) * 4194304)));
BEGIN
    x := (x | (x << 16)) & 281470681808895;
    x := (x | (x << 8)) & 71777214294589695;
    x := (x | (x << 4)) & 1085102592571150095;
    x := (x | (x << 2)) & 3689348814741910323;
    x := (x | (x << 1)) & 6148914691236517205;
    y := (y | (y << 16)) & 281470681808895;
    y := (y | (y << 8)) & 71777214294589695;
    y := (y | (y << 4)) & 1085102592571150095;
    y := (y | (y << 2)) & 3689348814741910323;
    y := (y | (y << 1)) & 6148914691236517205;
    RETURN x | (y << 1);
END
$$;

-- By the first type, and for the few entities that have more, by the second. An update that does not
-- move an entity touches neither. Writers wait while the indexes are made: 4 s for a million entities.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS entity_by_cell
ON context.entity (tenant, (types[1]), context.cell_of(box), entity_no)
WHERE deleted_at IS NULL;

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS entity_by_cell_second
ON context.entity (tenant, (types[2]), context.cell_of(box), entity_no)
WHERE deleted_at IS NULL AND types[2] IS NOT NULL;
