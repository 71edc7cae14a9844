-- The schema of `rules`: conditions over the city, where each stands, and the alarms they raised. See ADR 0057.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE SCHEMA IF NOT EXISTS rules;

-- One row a tenant: its revision tells whoever runs rules that they changed, and its lock makes him
-- the only one. `alive_at` is when deadlines were last looked at, `listening_since` since when without a gap.
CREATE TABLE IF NOT EXISTS rules.book (
    tenant text NOT NULL,
    revision bigint NOT NULL DEFAULT 0,
    alive_at timestamptz,
    listening_since timestamptz,
    CONSTRAINT book_pkey PRIMARY KEY (tenant)
);
COMMENT ON TABLE rules.book IS 'Which rules run, as a number that grows with each change';
COMMENT ON COLUMN rules.book.tenant IS 'personal: no';

-- A rule as it runs. `shipped` is what its pack says now, `compared` what it said when the province
-- last made up its mind: where they differ there is a newer version to compare.
CREATE TABLE IF NOT EXISTS rules.rule (
    tenant text NOT NULL,
    rule_id text NOT NULL,
    pack_id text NOT NULL,
    origin text NOT NULL,
    document jsonb NOT NULL,
    shipped jsonb,
    compared jsonb,
    is_on boolean NOT NULL,
    switched boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    reason text NOT NULL,
    held text NOT NULL DEFAULT '',
    CONSTRAINT rule_pkey PRIMARY KEY (tenant, rule_id),
    CONSTRAINT rule_origin_is_known CHECK (origin IN ('pack', 'province'))
);
COMMENT ON TABLE rules.rule IS 'The rules of packs and of the province, on or off';
COMMENT ON COLUMN rules.rule.tenant IS 'personal: no';
COMMENT ON COLUMN rules.rule.rule_id IS 'personal: no';
COMMENT ON COLUMN rules.rule.pack_id IS 'personal: no';
COMMENT ON COLUMN rules.rule.origin IS 'personal: no';
COMMENT ON COLUMN rules.rule.document IS 'personal: no';
COMMENT ON COLUMN rules.rule.shipped IS 'personal: no';
COMMENT ON COLUMN rules.rule.compared IS 'personal: no';
COMMENT ON COLUMN rules.rule.changed_by IS
'personal: the name an officer gave on duty; purpose: to know who changed a rule; basis: public task; kept: as long as the rule';
COMMENT ON COLUMN rules.rule.reason IS
'personal: what an officer wrote; purpose: to know why a rule was changed; basis: public task; kept: as long as the rule';
COMMENT ON COLUMN rules.rule.held IS 'personal: no';

-- Every change of a rule: what, when, by whom, why.
CREATE TABLE IF NOT EXISTS rules.rule_change (
    tenant text NOT NULL,
    change_no bigint GENERATED ALWAYS AS IDENTITY,
    rule_id text NOT NULL,
    what text NOT NULL,
    document jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    reason text NOT NULL,
    CONSTRAINT rule_change_pkey PRIMARY KEY (tenant, change_no),
    CONSTRAINT rule_change_is_known CHECK (what IN ('shipped', 'withdrawn', 'saved', 'on', 'off'))
);
COMMENT ON TABLE rules.rule_change IS 'What was changed of rules, when, by whom and why';
COMMENT ON COLUMN rules.rule_change.tenant IS 'personal: no';
COMMENT ON COLUMN rules.rule_change.rule_id IS 'personal: no';
COMMENT ON COLUMN rules.rule_change.what IS 'personal: no';
COMMENT ON COLUMN rules.rule_change.document IS 'personal: no';
COMMENT ON COLUMN rules.rule_change.changed_by IS
'personal: the name an officer gave on duty; purpose: to know who changed a rule; basis: public task; kept: as long as the rule';
COMMENT ON COLUMN rules.rule_change.reason IS
'personal: what an officer wrote; purpose: to know why a rule was changed; basis: public task; kept: as long as the rule';

-- Where a rule stands at an entity, as long as it does not stand idle; of an absence always.
CREATE TABLE IF NOT EXISTS rules.watch (
    tenant text NOT NULL,
    entity_id text NOT NULL,
    rule_id text NOT NULL,
    phase text NOT NULL,
    since timestamptz,
    turning_since timestamptz,
    upto timestamptz NOT NULL,
    value jsonb,
    due_at timestamptz,
    alarm_id text,
    CONSTRAINT watch_pkey PRIMARY KEY (tenant, entity_id, rule_id),
    CONSTRAINT watch_phase_is_known CHECK (phase IN ('idle', 'pending', 'open', 'clearing'))
) WITH (fillfactor = 70);
COMMENT ON TABLE rules.watch IS 'Conditions that have begun to hold, that hold, and that begin to be over';
COMMENT ON COLUMN rules.watch.tenant IS 'personal: no';
COMMENT ON COLUMN rules.watch.entity_id IS 'personal: no';
COMMENT ON COLUMN rules.watch.rule_id IS 'personal: no';
COMMENT ON COLUMN rules.watch.phase IS 'personal: no';
COMMENT ON COLUMN rules.watch.value IS 'personal: no';
COMMENT ON COLUMN rules.watch.alarm_id IS 'personal: no';

CREATE INDEX IF NOT EXISTS watch_due ON rules.watch (tenant, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS watch_of_rule ON rules.watch (tenant, rule_id);

-- One time that a rule held of an entity.
CREATE TABLE IF NOT EXISTS rules.alarm (
    tenant text NOT NULL,
    alarm_id text NOT NULL,
    rule_id text NOT NULL,
    label text NOT NULL,
    advice text NOT NULL,
    entity_id text NOT NULL,
    entity_type text NOT NULL,
    entity_name text NOT NULL,
    audience text NOT NULL,
    severity text NOT NULL,
    state text NOT NULL,
    since timestamptz NOT NULL,
    raised_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    cleared_at timestamptz,
    value jsonb,
    unit text,
    acknowledged_at timestamptz,
    acknowledged_by text NOT NULL DEFAULT '',
    shelved_until timestamptz,
    comments integer NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 1,
    synthetic boolean NOT NULL,
    longitude double precision,
    latitude double precision,
    CONSTRAINT alarm_pkey PRIMARY KEY (tenant, alarm_id),
    CONSTRAINT alarm_severity_is_known CHECK (severity IN ('minor', 'moderate', 'severe', 'extreme')),
    CONSTRAINT alarm_state_is_known CHECK (state IN ('open', 'cleared')),
    CONSTRAINT alarm_is_cleared_at_a_moment CHECK ((state = 'cleared') = (cleared_at IS NOT NULL)),
    CONSTRAINT alarm_audience_is_known
    CHECK (audience IN ('public', 'signed-in', 'officer', 'administrator', 'machine'))
);
COMMENT ON TABLE rules.alarm IS 'Alarms, open and cleared';
COMMENT ON COLUMN rules.alarm.tenant IS 'personal: no';
COMMENT ON COLUMN rules.alarm.alarm_id IS 'personal: no';
COMMENT ON COLUMN rules.alarm.rule_id IS 'personal: no';
COMMENT ON COLUMN rules.alarm.label IS 'personal: no';
COMMENT ON COLUMN rules.alarm.advice IS 'personal: no';
COMMENT ON COLUMN rules.alarm.entity_id IS 'personal: no';
COMMENT ON COLUMN rules.alarm.entity_type IS 'personal: no';
COMMENT ON COLUMN rules.alarm.entity_name IS 'personal: no';
COMMENT ON COLUMN rules.alarm.audience IS 'personal: no';
COMMENT ON COLUMN rules.alarm.severity IS 'personal: no';
COMMENT ON COLUMN rules.alarm.state IS 'personal: no';
COMMENT ON COLUMN rules.alarm.value IS 'personal: no';
COMMENT ON COLUMN rules.alarm.unit IS 'personal: no';
COMMENT ON COLUMN rules.alarm.acknowledged_by IS
'personal: the name an officer gave on duty; purpose: to know who took note; basis: public task; kept: as long as the alarm';

-- What is promised, also against a mistake of ours: at most one open alarm of a rule at an entity.
CREATE UNIQUE INDEX IF NOT EXISTS alarm_is_open_once
ON rules.alarm (tenant, rule_id, entity_id) WHERE state = 'open';
CREATE INDEX IF NOT EXISTS alarm_newest ON rules.alarm (tenant, state, raised_at DESC);

-- What happened to an alarm, line by line.
CREATE TABLE IF NOT EXISTS rules.alarm_line (
    tenant text NOT NULL,
    alarm_id text NOT NULL,
    line_no bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    said_by text NOT NULL,
    said text NOT NULL,
    CONSTRAINT alarm_line_pkey PRIMARY KEY (tenant, alarm_id, line_no),
    CONSTRAINT alarm_line_kind_is_known CHECK (
        kind IN ('raised', 'updated', 'acknowledged', 'commented', 'shelved', 'unshelved', 'cleared')
    )
);
COMMENT ON TABLE rules.alarm_line IS 'What happened to alarms and what people said to them';
COMMENT ON COLUMN rules.alarm_line.tenant IS 'personal: no';
COMMENT ON COLUMN rules.alarm_line.alarm_id IS 'personal: no';
COMMENT ON COLUMN rules.alarm_line.kind IS 'personal: no';
COMMENT ON COLUMN rules.alarm_line.said_by IS
'personal: the name an officer gave on duty; purpose: to know who did it; basis: public task; kept: as long as the alarm';
COMMENT ON COLUMN rules.alarm_line.said IS
'personal: what an officer wrote; purpose: to know why; basis: public task; kept: as long as the alarm';
