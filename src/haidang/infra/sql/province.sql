-- name: settings_of_province(tenant)
-- What a province has decided about itself, one row a setting.
SELECT name, value
  FROM infra.province_setting
 WHERE tenant = :tenant;

-- name: keep_province_setting(tenant, name, value, modified_at, modified_by)!
-- Set one setting.
INSERT INTO infra.province_setting (tenant, name, value, modified_at, modified_by)
VALUES (:tenant, :name, :value, :modified_at, :modified_by)
    ON CONFLICT ON CONSTRAINT province_setting_pkey
    DO UPDATE SET value = excluded.value,
                  modified_at = excluded.modified_at,
                  modified_by = excluded.modified_by;

-- name: forget_province_setting(tenant, name)!
-- Go back to the default of one setting.
DELETE FROM infra.province_setting
 WHERE tenant = :tenant
   AND name = :name;

-- name: note_province_change(tenant, name, former, value, changed_at, changed_by)!
-- Keep who changed a setting from what to what.
INSERT INTO infra.province_setting_change (tenant, name, former, value, changed_at, changed_by)
VALUES (:tenant, :name, :former, :value, :changed_at, :changed_by);

-- name: changes_of_province(tenant, most)
-- The latest changes first.
SELECT name, former, value, changed_at, changed_by
  FROM infra.province_setting_change
 WHERE tenant = :tenant
 ORDER BY change_id DESC
 LIMIT :most;
