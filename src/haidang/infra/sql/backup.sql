-- name: take_all_the_time()$
-- This transaction may take as long as it needs, and writes values in their portable text.
SELECT set_config('statement_timeout', '0', true)
       || set_config('idle_in_transaction_session_timeout', '0', true)
       || set_config('lock_timeout', '60s', true)
       || set_config('datestyle', 'ISO, YMD', true)
       || set_config('intervalstyle', 'postgres', true)
       || set_config('timezone', 'UTC', true)
       || set_config('bytea_output', 'hex', true)
       || set_config('extra_float_digits', '1', true) AS settings;

-- name: server_version()$
-- The version of PostgreSQL.
SELECT current_setting('server_version') AS version;

-- name: applied_migrations()
-- The migrations of this database.
SELECT number, name, checksum
  FROM infra.migration
 ORDER BY number;

-- name: tables()
-- Every table that holds rows, without the list of migrations, with the columns that can be copied.
SELECT n.nspname AS schema,
       c.relname AS name,
       format('%I.%I', n.nspname, c.relname) AS qualified,
       coalesce(array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attname IS NOT NULL), '{}') AS columns
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
 WHERE c.relkind = 'r'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT (n.nspname = 'infra' AND c.relname = 'migration')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
 GROUP BY n.nspname, c.relname
 ORDER BY n.nspname, c.relname;

-- name: first_table()$
-- A table that is there already, if any.
SELECT format('%I.%I', n.nspname, c.relname) AS qualified
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm')
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname
 LIMIT 1;

-- name: partitions()
-- Every partition with its bound, parents before children.
  WITH RECURSIVE tree AS (
       SELECT i.inhrelid AS relation, i.inhparent AS parent, 1 AS depth
         FROM pg_catalog.pg_inherits AS i
         JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent
         JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
        WHERE p.relkind = 'p' AND c.relkind IN ('r', 'p') AND NOT p.relispartition
        UNION ALL
       SELECT i.inhrelid, i.inhparent, t.depth + 1
         FROM tree AS t
         JOIN pg_catalog.pg_inherits AS i ON i.inhparent = t.relation
         JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid AND c.relkind IN ('r', 'p'))
SELECT n.nspname AS schema,
       c.relname AS name,
       pn.nspname AS parent_schema,
       p.relname AS parent,
       pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound,
       CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partition_key,
       coalesce(c.reloptions, '{}') AS options
  FROM tree AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.relation
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class AS p ON p.oid = t.parent
  JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace
 ORDER BY t.depth, n.nspname, c.relname;

-- name: sequences()
-- Where every sequence stands.
SELECT schemaname AS schema, sequencename AS name, last_value
  FROM pg_catalog.pg_sequences
 WHERE schemaname !~ '^pg_'
 ORDER BY schemaname, sequencename;

-- name: set_sequence(schema, name, value)$
-- Let a sequence go on after a value.
SELECT setval(format('%I.%I', :schema::text, :name::text)::regclass, :value::bigint) AS value;

-- name: relation(qualified)$
-- Whether a relation of that name exists.
SELECT to_regclass(:qualified::text)::oid::bigint AS relation;

-- name: foreign_keys()
-- Every foreign key that is not a partition's share of its parent's.
SELECT format('%I.%I', n.nspname, c.relname) AS qualified,
       quote_ident(k.conname) AS name,
       pg_catalog.pg_get_constraintdef(k.oid) AS definition
  FROM pg_catalog.pg_constraint AS k
  JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.conparentid = 0
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY n.nspname, c.relname, k.conname;

-- name: triggers()
-- Every trigger of ours that fires, and in which mode.
SELECT format('%I.%I', n.nspname, c.relname) AS qualified,
       quote_ident(t.tgname) AS name,
       CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END AS mode
  FROM pg_catalog.pg_trigger AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgparentid = 0
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY n.nspname, c.relname, t.tgname;
