-- name: add_feed(tenant, feed_id, name, place, mapping_id, every_minutes, most_refused_percent, now, by)!
-- A feed that is looked at from now on.
INSERT INTO sources.sheet_feed
       (tenant, feed_id, name, place, mapping_id, every_minutes, most_refused_percent, added_at, changed_at,
        changed_by, next_look_at)
VALUES (:tenant, :feed_id, :name, :place, :mapping_id, :every_minutes, :most_refused_percent, :now, :now, :by,
        :now);

-- name: feeds(tenant, feed_id)
-- One feed, or all by name.
SELECT f.feed_id, f.name, f.place, f.mapping_id, f.every_minutes, f.most_refused_percent, f.paused, f.added_at,
       f.changed_at, f.changed_by, f.next_look_at, f.looked_at, f.brought_at, f.etag, f.last_modified,
       CAST(f.trouble AS text) AS trouble
  FROM sources.sheet_feed AS f
 WHERE f.tenant = :tenant
   AND (CAST(:feed_id AS uuid) IS NULL OR f.feed_id = :feed_id)
 ORDER BY f.name, f.feed_id
 LIMIT 200;

-- name: feeds_due(tenant, now)
-- Feeds whose time has come.
SELECT f.feed_id
  FROM sources.sheet_feed AS f
 WHERE f.tenant = :tenant
   AND NOT f.paused
   AND f.next_look_at <= :now
 ORDER BY f.next_look_at
 LIMIT 200;

-- name: pause_feed(tenant, feed_id, paused, now, by)$
-- A feed rests, or is looked at again at once.
UPDATE sources.sheet_feed
   SET paused = :paused, changed_at = :now, changed_by = :by, next_look_at = :now
 WHERE tenant = :tenant
   AND feed_id = :feed_id
RETURNING feed_id;

-- name: note_look(tenant, feed_id, now, next_look_at, brought, etag, last_modified, trouble)!
-- A feed was looked at: whether it brought something new, or why it could not be read.
UPDATE sources.sheet_feed
   SET looked_at = :now,
       next_look_at = :next_look_at,
       brought_at = CASE WHEN CAST(:brought AS boolean) THEN :now ELSE brought_at END,
       etag = :etag,
       last_modified = :last_modified,
       trouble = CAST(CAST(:trouble AS text) AS jsonb)
 WHERE tenant = :tenant
   AND feed_id = :feed_id;

-- name: fingerprints_known(tenant, feed_id, fingerprints)
-- Which of these files a feed has brought before.
SELECT s.fingerprint
  FROM sources.sheet_feed_file AS s
 WHERE s.tenant = :tenant
   AND s.feed_id = :feed_id
   AND s.fingerprint = ANY(CAST(:fingerprints AS text[]));

-- name: feed_has_content(tenant, feed_id, content_id)$
-- Whether a feed has brought the same content before.
SELECT EXISTS (
    SELECT 1
      FROM sources.sheet_file AS f
     WHERE f.tenant = :tenant AND f.content_id = :content_id AND f.feed_id = :feed_id);

-- name: note_feed_file(tenant, feed_id, fingerprint, name, outcome, file_id, batch_id, reason, now)!
-- What came of a file.
INSERT INTO sources.sheet_feed_file
       (tenant, feed_id, fingerprint, name, outcome, file_id, batch_id, reason, seen_at)
VALUES (:tenant, :feed_id, :fingerprint, :name, :outcome, :file_id, :batch_id,
        CAST(CAST(:reason AS text) AS jsonb), :now)
    ON CONFLICT (tenant, feed_id, fingerprint) DO NOTHING;

-- name: feed_files(tenant, feed_id, most)
-- The newest files of a feed; one that waited and was taken by a person since names that batch.
SELECT s.name, s.outcome, s.file_id, coalesce(s.batch_id, taken.batch_id) AS batch_id,
       CAST(s.reason AS text) AS reason, s.seen_at
  FROM sources.sheet_feed_file AS s
  LEFT JOIN LATERAL (
        SELECT b.batch_id
          FROM sources.sheet_batch AS b
         WHERE b.tenant = s.tenant AND b.file_id = s.file_id
         ORDER BY b.asked_at DESC
         LIMIT 1) AS taken ON true
 WHERE s.tenant = :tenant
   AND s.feed_id = :feed_id
 ORDER BY s.seen_at DESC, s.name
 LIMIT :most;

-- name: mappings(tenant, mapping_id)
-- The newest version of one agreed mapping, or of all.
SELECT DISTINCT ON (m.mapping_id)
       m.mapping_id, m.version, m.name, m.heading_key, CAST(m.mapping AS text) AS mapping, m.saved_at, m.saved_by
  FROM sources.sheet_mapping AS m
 WHERE m.tenant = :tenant
   AND (CAST(:mapping_id AS uuid) IS NULL OR m.mapping_id = :mapping_id)
 ORDER BY m.mapping_id, m.version DESC
 LIMIT 500;
