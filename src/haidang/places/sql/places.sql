-- name: unit_rows(unit_ids)
-- Units by id, each with the box of its outline.
SELECT u.unit_id, u.level, u.kind, u.code, u.name, u.full_name, u.name_en, u.parent_id, u.valid_from, u.valid_to,
       u.legal_basis, u.ended_by, u.area_km2, u.population, u.population_on, u.population_doubtful, u.centre,
       u.longitude, u.latitude, u.verified, o.box, o.accuracy_m
  FROM places.unit AS u
  LEFT JOIN places.outline AS o USING (unit_id)
 WHERE u.unit_id = ANY(:unit_ids::text[]);

-- name: units_on(day, level, parent_id)
-- The units of a day, in Vietnamese order; level and the unit above are optional.
SELECT u.unit_id, u.level, u.kind, u.code, u.name, u.full_name, u.name_en, u.parent_id, u.valid_from, u.valid_to,
       u.legal_basis, u.ended_by, u.area_km2, u.population, u.population_on, u.population_doubtful, u.centre,
       u.longitude, u.latitude, u.verified, o.box, o.accuracy_m
  FROM places.unit AS u
  LEFT JOIN places.outline AS o USING (unit_id)
 WHERE coalesce(u.valid_from, '-infinity'::date) <= :day::date
   AND coalesce(u.valid_to, 'infinity'::date) > :day::date
   AND (:level::text IS NULL OR u.level = :level::text)
   AND (:parent_id::text IS NULL OR u.parent_id = :parent_id::text)
 ORDER BY u.name_key, u.kind, u.unit_id;

-- name: path_ids(unit_id)
-- A unit and those above it at its time, the highest first.
WITH RECURSIVE path AS (
    SELECT u.unit_id, u.parent_id, 0 AS steps
      FROM places.unit AS u
     WHERE u.unit_id = :unit_id::text
     UNION ALL
    SELECT u.unit_id, u.parent_id, path.steps + 1
      FROM path
      JOIN places.unit AS u ON u.unit_id = path.parent_id
     WHERE path.steps < 8
)
SELECT path.unit_id
  FROM path
 ORDER BY path.steps DESC;

-- name: outlines_at_point(longitude, latitude, day, level)
-- Outlines whose box holds a point on a day: what shapely has to decide between.
SELECT o.unit_id, o.shape, o.accuracy_m
  FROM places.outline AS o
  JOIN places.unit AS u USING (unit_id)
 WHERE o.box @> box(point(:longitude, :latitude), point(:longitude, :latitude))
   AND u.level = :level
   AND coalesce(u.valid_from, '-infinity'::date) <= :day::date
   AND coalesce(u.valid_to, 'infinity'::date) > :day::date
 ORDER BY o.accuracy_m, o.unit_id;

-- name: outlines_in_box(west, south, east, north, day, level)
-- Outlines whose box meets a box on a day.
SELECT o.unit_id, o.shape, o.accuracy_m
  FROM places.outline AS o
  JOIN places.unit AS u USING (unit_id)
 WHERE o.box && box(point(:west, :south), point(:east, :north))
   AND u.level = :level
   AND coalesce(u.valid_from, '-infinity'::date) <= :day::date
   AND coalesce(u.valid_to, 'infinity'::date) > :day::date
 ORDER BY o.accuracy_m, o.unit_id;

-- name: outlines_of_level(level)
-- Every outline of a level, of any time, the most accurate first.
SELECT o.unit_id, o.shape, o.accuracy_m, u.valid_from, u.valid_to
  FROM places.outline AS o
  JOIN places.unit AS u USING (unit_id)
 WHERE u.level = :level
 ORDER BY o.accuracy_m, o.unit_id;

-- name: outlines_of(unit_ids)
-- The outlines of some units.
SELECT o.unit_id, o.shape, o.accuracy_m
  FROM places.outline AS o
 WHERE o.unit_id = ANY(:unit_ids::text[])
 ORDER BY o.unit_id;

-- name: links_onward(unit_ids, until)
-- Every link that leads on from some units, step by step, up to a day.
WITH RECURSIVE onward AS (
    SELECT l.from_id, l.to_id, l.kind, l.share, l.people_share, l.takes_effect, l.legal_basis, l.verified
      FROM places.link AS l
     WHERE l.from_id = ANY(:unit_ids::text[])
       AND l.takes_effect <= :until::date
     UNION
    SELECT l.from_id, l.to_id, l.kind, l.share, l.people_share, l.takes_effect, l.legal_basis, l.verified
      FROM onward
      JOIN places.link AS l ON l.from_id = onward.to_id
     WHERE l.takes_effect >= onward.takes_effect
       AND l.takes_effect <= :until::date
)
SELECT onward.from_id, onward.to_id, onward.kind, onward.share, onward.people_share, onward.takes_effect,
       onward.legal_basis, onward.verified
  FROM onward
 ORDER BY onward.takes_effect, onward.from_id, onward.to_id;

-- name: links_from(unit_id)
-- What a unit became, one step.
SELECT l.from_id, l.to_id, l.kind, l.share, l.people_share, l.takes_effect, l.legal_basis, l.verified
  FROM places.link AS l
  JOIN places.unit AS u ON u.unit_id = l.to_id
 WHERE l.from_id = :unit_id
 ORDER BY u.name_key, l.to_id;

-- name: links_to(unit_id)
-- What a unit came from, one step.
SELECT l.from_id, l.to_id, l.kind, l.share, l.people_share, l.takes_effect, l.legal_basis, l.verified
  FROM places.link AS l
  JOIN places.unit AS u ON u.unit_id = l.from_id
 WHERE l.to_id = :unit_id
 ORDER BY u.name_key, l.from_id;

-- name: wards_under(unit_id, day)
-- The wards of a day under a unit, through any level between.
WITH RECURSIVE below AS (
    SELECT u.unit_id, u.level
      FROM places.unit AS u
     WHERE u.unit_id = :unit_id::text
     UNION
    SELECT u.unit_id, u.level
      FROM below
      JOIN places.unit AS u ON u.parent_id = below.unit_id
     WHERE coalesce(u.valid_from, '-infinity'::date) <= :day::date
       AND coalesce(u.valid_to, 'infinity'::date) > :day::date
)
SELECT below.unit_id
  FROM below
 WHERE below.level = 'ward'
 ORDER BY below.unit_id;

-- name: reporting_areas()
-- The former units that people still report by.
SELECT a.area_id, a.name, a.former_id
  FROM places.reporting_area AS a
 ORDER BY a.name_key;

-- name: reporting_area(area_id)^
-- One of them.
SELECT a.area_id, a.name, a.former_id
  FROM places.reporting_area AS a
 WHERE a.area_id = :area_id;

-- name: current_edition()$
-- Which state of units, links and outlines this is; none before anything was loaded.
SELECT e.edition
  FROM places.edition AS e;

-- name: begin_edition(edition)!
-- Note that units, links or outlines have changed.
INSERT INTO places.edition AS e (edition)
VALUES (:edition)
    ON CONFLICT ON CONSTRAINT edition_pkey DO UPDATE
   SET edition = excluded.edition;

-- name: records_since(name)$
-- Since when the release of a collection that is loaded knows what was there.
SELECT r.records_since
  FROM places.release AS r
 WHERE r.name = :name
 ORDER BY r.loaded_at DESC
 LIMIT 1;

-- name: release_loaded(name)$
-- The checksum of the release of a collection that was loaded last.
SELECT r.checksum
  FROM places.release AS r
 WHERE r.name = :name
 ORDER BY r.loaded_at DESC
 LIMIT 1;

-- name: note_release(name, checksum, as_of, records_since, title, provenance, licence, attribution, loaded_at)!
-- Note a release as the one that is loaded now: its time is the latest, also when the clock went back.
INSERT INTO places.release AS r
       (name, checksum, as_of, records_since, title, provenance, licence, attribution, loaded_at)
SELECT :name, :checksum, :as_of, :records_since, :title, :provenance, :licence, :attribution,
       greatest(:loaded_at::timestamptz, max(known.loaded_at) + interval '1 microsecond')
  FROM places.release AS known
 WHERE known.name = :name
    ON CONFLICT ON CONSTRAINT release_pkey DO UPDATE
   SET loaded_at = excluded.loaded_at;

-- name: releases()
-- The release of each collection that is loaded, with where it comes from.
SELECT DISTINCT ON (r.name)
       r.name, r.checksum, r.as_of, r.records_since, r.title, r.provenance, r.licence, r.attribution,
       r.loaded_at
  FROM places.release AS r
 ORDER BY r.name, r.loaded_at DESC;

-- name: wait_for_loading()!
-- Load one at a time; whoever waited finds it done.
SELECT pg_advisory_xact_lock(7882816321870);

-- name: drop_links_of_facts()!
-- Forget the links of the release before: the new one brings all of them.
DELETE FROM places.link AS l
 WHERE l.origin = 'facts';

-- name: drop_outlines_of_facts()!
-- Forget the outlines of the release before.
DELETE FROM places.outline AS o
 WHERE o.origin = 'facts';

-- name: drop_reporting_areas_of_facts()!
-- Forget the reporting areas of the release before.
DELETE FROM places.reporting_area AS a
 WHERE a.origin = 'facts';

-- name: drop_units_not_in(unit_ids)!
-- Forget units that the new release no longer has, unless something here still names them.
DELETE FROM places.unit AS u
 WHERE u.origin = 'facts'
   AND NOT u.unit_id = ANY(:unit_ids::text[])
   AND NOT EXISTS (SELECT 1 FROM places.link AS l WHERE u.unit_id IN (l.from_id, l.to_id))
   AND NOT EXISTS (SELECT 1 FROM places.unit AS child WHERE child.parent_id = u.unit_id)
   AND NOT EXISTS (SELECT 1 FROM places.outline AS o WHERE o.unit_id = u.unit_id)
   AND NOT EXISTS (SELECT 1 FROM places.reporting_area AS a WHERE a.former_id = u.unit_id);

-- name: put_units(unit_ids, levels, kinds, codes, names, full_names, name_keys, names_en, parent_ids, valid_froms, valid_tos, legal_bases, ended_bys, areas, populations, population_ons, population_doubtfuls, centres, longitudes, latitudes, verifieds, origin)!
-- Write units, new or changed; an end that a change made here stays.
INSERT INTO places.unit AS u
       (unit_id, level, kind, code, name, full_name, name_key, name_en, parent_id, valid_from, valid_to, legal_basis,
        ended_by, area_km2, population, population_on, population_doubtful, centre, longitude, latitude, verified,
        origin, end_origin)
SELECT g.unit_id, g.level, g.kind, g.code, g.name, g.full_name, g.name_key, g.name_en, g.parent_id, g.valid_from,
       g.valid_to, g.legal_basis, g.ended_by, g.area_km2, g.population, g.population_on, g.population_doubtful,
       g.centre, g.longitude, g.latitude, g.verified, :origin, :origin
  FROM unnest(:unit_ids::text[], :levels::text[], :kinds::text[], :codes::text[], :names::text[],
              :full_names::text[], :name_keys::text[], :names_en::text[], :parent_ids::text[],
              :valid_froms::date[], :valid_tos::date[], :legal_bases::text[], :ended_bys::text[],
              :areas::numeric[], :populations::bigint[], :population_ons::date[],
              :population_doubtfuls::boolean[], :centres::text[], :longitudes::double precision[],
              :latitudes::double precision[], :verifieds::boolean[])
       AS g (unit_id, level, kind, code, name, full_name, name_key, name_en, parent_id, valid_from, valid_to,
             legal_basis, ended_by, area_km2, population, population_on, population_doubtful, centre, longitude,
             latitude, verified)
    ON CONFLICT ON CONSTRAINT unit_pkey DO UPDATE
   SET level = excluded.level,
       kind = excluded.kind,
       code = excluded.code,
       name = excluded.name,
       full_name = excluded.full_name,
       name_key = excluded.name_key,
       name_en = excluded.name_en,
       parent_id = excluded.parent_id,
       valid_from = excluded.valid_from,
       valid_to = CASE WHEN u.end_origin = 'change' THEN u.valid_to ELSE excluded.valid_to END,
       legal_basis = excluded.legal_basis,
       ended_by = CASE WHEN u.end_origin = 'change' THEN u.ended_by ELSE excluded.ended_by END,
       area_km2 = excluded.area_km2,
       population = excluded.population,
       population_on = excluded.population_on,
       population_doubtful = excluded.population_doubtful,
       centre = excluded.centre,
       longitude = excluded.longitude,
       latitude = excluded.latitude,
       verified = excluded.verified
 WHERE u.origin = excluded.origin;

-- name: put_links(from_ids, to_ids, kinds, shares, people_shares, takes_effects, legal_bases, verifieds, origin)!
-- Write links; one that a change made here stays as it is.
INSERT INTO places.link AS l
       (from_id, to_id, kind, share, people_share, takes_effect, legal_basis, verified, origin)
SELECT g.from_id, g.to_id, g.kind, g.share, g.people_share, g.takes_effect, g.legal_basis, g.verified, :origin
  FROM unnest(:from_ids::text[], :to_ids::text[], :kinds::text[], :shares::double precision[],
              :people_shares::double precision[], :takes_effects::date[], :legal_bases::text[],
              :verifieds::boolean[])
       AS g (from_id, to_id, kind, share, people_share, takes_effect, legal_basis, verified)
    ON CONFLICT ON CONSTRAINT link_pkey DO NOTHING;

-- name: put_outlines(unit_ids, wests, souths, easts, norths, shapes, accuracies, origin)!
-- Write outlines; one that a change made here stays as it is.
INSERT INTO places.outline AS o (unit_id, box, shape, accuracy_m, origin)
SELECT g.unit_id, box(point(g.west, g.south), point(g.east, g.north)), g.shape, g.accuracy_m, :origin
  FROM unnest(:unit_ids::text[], :wests::double precision[], :souths::double precision[],
              :easts::double precision[], :norths::double precision[], :shapes::bytea[],
              :accuracies::double precision[])
       AS g (unit_id, west, south, east, north, shape, accuracy_m)
    ON CONFLICT ON CONSTRAINT outline_pkey DO NOTHING;

-- name: put_reporting_areas(area_ids, names, name_keys, former_ids, origin)!
-- Write reporting areas.
INSERT INTO places.reporting_area AS a (area_id, name, name_key, former_id, origin)
SELECT g.area_id, g.name, g.name_key, g.former_id, :origin
  FROM unnest(:area_ids::text[], :names::text[], :name_keys::text[], :former_ids::text[])
       AS g (area_id, name, name_key, former_id)
    ON CONFLICT ON CONSTRAINT reporting_area_pkey DO NOTHING;
