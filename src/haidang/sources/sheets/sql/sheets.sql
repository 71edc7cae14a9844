-- name: keep_file(tenant, file_id, content_id, name, size_bytes, look, uploaded_at, uploaded_by, feed_id)!
-- Keep what is known of a file that was sent.
INSERT INTO sources.sheet_file
       (tenant, file_id, content_id, name, size_bytes, look, uploaded_at, uploaded_by, feed_id)
VALUES (:tenant, :file_id, :content_id, :name, :size_bytes, CAST(CAST(:look AS text) AS jsonb), :uploaded_at,
        :uploaded_by, :feed_id);

-- name: sheet_file(tenant, file_id)^
-- One file.
SELECT f.file_id, f.content_id, f.name, f.size_bytes, CAST(f.look AS text) AS look, f.uploaded_at, f.uploaded_by
  FROM sources.sheet_file AS f
 WHERE f.tenant = :tenant
   AND f.file_id = :file_id;

-- name: standing_batch_of_content(tenant, content_id)^
-- The newest batch of the same content that was not taken back.
SELECT b.batch_id, b.asked_at
  FROM sources.sheet_file AS f
  JOIN sources.sheet_batch AS b ON b.tenant = f.tenant AND b.file_id = f.file_id
 WHERE f.tenant = :tenant
   AND f.content_id = :content_id
   AND b.state NOT IN ('undone', 'undoing')
 ORDER BY b.asked_at DESC
 LIMIT 1;

-- name: newest_mapping(tenant, heading_key)^
-- How sheets with these headings were read the last time.
SELECT m.mapping_id, m.version, m.name, m.heading_key, CAST(m.mapping AS text) AS mapping, m.saved_at, m.saved_by
  FROM sources.sheet_mapping AS m
 WHERE m.tenant = :tenant
   AND m.heading_key = :heading_key
 ORDER BY m.saved_at DESC, m.version DESC
 LIMIT 1;

-- name: save_mapping(tenant, mapping_id, version, name, heading_key, mapping, saved_at, saved_by)!
-- A version of a mapping.
INSERT INTO sources.sheet_mapping (tenant, mapping_id, version, name, heading_key, mapping, saved_at, saved_by)
VALUES (:tenant, :mapping_id, :version, :name, :heading_key, CAST(CAST(:mapping AS text) AS jsonb), :saved_at,
        :saved_by);

-- name: add_batch(tenant, batch_id, file_id, mapping_id, mapping_version, choice, last_heading, mapping, asked_at, asked_by)!
-- A batch that waits to be taken.
INSERT INTO sources.sheet_batch
       (tenant, batch_id, file_id, mapping_id, mapping_version, choice, last_heading, mapping, state,
        asked_at, asked_by)
VALUES (:tenant, :batch_id, :file_id, :mapping_id, :mapping_version, CAST(CAST(:choice AS text) AS jsonb),
        :last_heading, CAST(CAST(:mapping AS text) AS jsonb), 'waiting', :asked_at, :asked_by);

-- name: sheet_batches(tenant, batch_id, before_at, most)
-- One batch, or the newest ones.
SELECT b.batch_id, b.file_id, f.name AS file_name, b.mapping_id, b.mapping_version,
       coalesce(m.name, '') AS mapping_name, CAST(b.choice AS text) AS choice, b.last_heading,
       CAST(b.mapping AS text) AS mapping, b.state, b.rows_read, b.rows_taken, b.rows_refused, b.values_written,
       b.cells_refused, b.values_withdrawn, b.values_left, b.asked_at, b.asked_by, b.ended_at, b.undo_asked_at,
       b.undo_asked_by, b.undone_at, b.trouble
  FROM sources.sheet_batch AS b
  JOIN sources.sheet_file AS f ON f.tenant = b.tenant AND f.file_id = b.file_id
  LEFT JOIN sources.sheet_mapping AS m
    ON m.tenant = b.tenant AND m.mapping_id = b.mapping_id AND m.version = b.mapping_version
 WHERE b.tenant = :tenant
   AND (CAST(:batch_id AS uuid) IS NULL OR b.batch_id = :batch_id)
   AND (CAST(:before_at AS timestamptz) IS NULL OR b.asked_at < :before_at)
 ORDER BY b.asked_at DESC, b.batch_id
 LIMIT :most;

-- name: hold_batch(tenant, batch_id)$
-- The state of a batch, locked until the transaction ends.
SELECT b.state FROM sources.sheet_batch AS b WHERE b.tenant = :tenant AND b.batch_id = :batch_id FOR UPDATE;

-- name: move_batch(tenant, batch_id, state, ended_at, trouble)!
-- A batch goes on to another state.
UPDATE sources.sheet_batch
   SET state = :state,
       ended_at = coalesce(:ended_at, ended_at),
       undone_at = CASE WHEN :state = 'undone' THEN :ended_at ELSE undone_at END,
       trouble = :trouble
 WHERE tenant = :tenant
   AND batch_id = :batch_id;

-- name: ask_undo(tenant, batch_id, now, by)!
-- Note who asked to take a batch back.
UPDATE sources.sheet_batch
   SET state = 'undoing', undo_asked_at = :now, undo_asked_by = :by, trouble = NULL
 WHERE tenant = :tenant
   AND batch_id = :batch_id;

-- name: count_taken(tenant, batch_id, rows_read, rows_taken, rows_refused, values_written, cells_refused)!
-- How far a batch has come, with what was written in the same transaction.
UPDATE sources.sheet_batch
   SET rows_read = :rows_read,
       rows_taken = rows_taken + :rows_taken,
       rows_refused = rows_refused + :rows_refused,
       values_written = values_written + :values_written,
       cells_refused = cells_refused + :cells_refused
 WHERE tenant = :tenant
   AND batch_id = :batch_id;

-- name: note_commits(tenant, batch_id, entity_ids, learned_at, first_moments, last_moments, created)!
-- Which commits of the context a batch has made.
INSERT INTO sources.sheet_commit AS noted
       (tenant, batch_id, entity_id, learned_at, first_moment, last_moment, created)
SELECT :tenant, :batch_id, one.entity_id, one.learned_at, one.first_moment, one.last_moment, one.created
  FROM unnest(CAST(:entity_ids AS text[]), CAST(:learned_at AS timestamptz[]),
              CAST(:first_moments AS timestamptz[]), CAST(:last_moments AS timestamptz[]),
              CAST(:created AS boolean[]))
       AS one (entity_id, learned_at, first_moment, last_moment, created);

-- name: note_refusals(tenant, batch_id, most, rows, columns, reasons, shown)!
-- Keep what did not enter, up to a bound.
INSERT INTO sources.sheet_refusal (tenant, batch_id, refusal_no, row_number, column_title, reason, shown)
SELECT :tenant, :batch_id, known.kept + one.place, one.row_number, one.column_title, one.reason, one.shown
  FROM (SELECT count(*) AS kept
          FROM sources.sheet_refusal AS r
         WHERE r.tenant = :tenant AND r.batch_id = :batch_id) AS known
 CROSS JOIN unnest(CAST(:rows AS bigint[]), CAST(:columns AS text[]), CAST(:reasons AS text[]),
                   CAST(:shown AS text[]))
       WITH ORDINALITY AS one (row_number, column_title, reason, shown, place)
 WHERE known.kept + one.place <= :most;

-- name: refusals(tenant, batch_id, most)
-- What of a batch did not enter, in the order of its rows.
SELECT r.row_number, r.column_title, r.reason, r.shown
  FROM sources.sheet_refusal AS r
 WHERE r.tenant = :tenant
   AND r.batch_id = :batch_id
 ORDER BY r.refusal_no
 LIMIT :most;

-- name: commits_to_withdraw(tenant, batch_id, most)
-- All commits of the next entities of a batch that were not taken back yet: so many commits, or one entity.
WITH waiting AS (
    SELECT c.entity_id, sum(count(*)) OVER (ORDER BY c.entity_id) AS commits,
           row_number() OVER (ORDER BY c.entity_id) AS place
      FROM sources.sheet_commit AS c
     WHERE c.tenant = :tenant
       AND c.batch_id = :batch_id
       AND c.withdrawn_at IS NULL
     GROUP BY c.entity_id
)
SELECT c.entity_id, c.learned_at, c.first_moment, c.last_moment, c.created
  FROM sources.sheet_commit AS c
  JOIN waiting USING (entity_id)
 WHERE c.tenant = :tenant
   AND c.batch_id = :batch_id
   AND c.withdrawn_at IS NULL
   AND (waiting.commits <= :most OR waiting.place = 1)
 ORDER BY c.entity_id, c.learned_at;

-- name: note_withdrawn(tenant, batch_id, entity_ids, now, withdrawn, left_alone)!
-- The commits of these entities are taken back.
WITH noted AS (
    UPDATE sources.sheet_commit
       SET withdrawn_at = :now
     WHERE tenant = :tenant
       AND batch_id = :batch_id
       AND entity_id = ANY(CAST(:entity_ids AS text[]))
)
UPDATE sources.sheet_batch
   SET values_withdrawn = values_withdrawn + :withdrawn,
       values_left = values_left + :left_alone
 WHERE tenant = :tenant
   AND batch_id = :batch_id;
