-- Since when a release's facts know what was there: for earlier days they repeat the first day known.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

ALTER TABLE places.release ADD COLUMN IF NOT EXISTS records_since date;
