-- Changes of units as an operation: drafted, scheduled, applied or undone, each step kept. See ADR 0042.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

-- `document` is the draft with every unit that it names found (places.changes.Draft).
CREATE TABLE IF NOT EXISTS places.unit_change (
    change_id text NOT NULL,
    change_no bigint GENERATED ALWAYS AS IDENTITY,
    state text NOT NULL,
    title text NOT NULL,
    takes_effect date NOT NULL,
    document jsonb NOT NULL,
    CONSTRAINT unit_change_pkey PRIMARY KEY (change_id),
    CONSTRAINT unit_change_state_is_known CHECK (state IN ('draft', 'scheduled', 'applied', 'undone'))
);
COMMENT ON TABLE places.unit_change IS 'Mergers, splits, renamings and moved boundaries, planned or done';
COMMENT ON COLUMN places.unit_change.change_id IS 'personal: no';
COMMENT ON COLUMN places.unit_change.state IS 'personal: no';
COMMENT ON COLUMN places.unit_change.title IS 'personal: no';
COMMENT ON COLUMN places.unit_change.document IS 'personal: no';

-- What was done with a change. A refused step: its day came, and it could not be applied.
CREATE TABLE IF NOT EXISTS places.unit_change_step (
    step_id bigint GENERATED ALWAYS AS IDENTITY,
    change_id text NOT NULL,
    step text NOT NULL,
    done_at timestamptz NOT NULL,
    done_by text NOT NULL,
    reason text,
    CONSTRAINT unit_change_step_pkey PRIMARY KEY (step_id),
    CONSTRAINT unit_change_step_is_of_a_change
    FOREIGN KEY (change_id) REFERENCES places.unit_change (change_id),
    CONSTRAINT unit_change_step_is_known
    CHECK (step IN ('drafted', 'scheduled', 'applied', 'refused', 'undone'))
);
COMMENT ON TABLE places.unit_change_step IS 'Who did what with a change of units, when and why';
COMMENT ON COLUMN places.unit_change_step.change_id IS 'personal: no';
COMMENT ON COLUMN places.unit_change_step.step IS 'personal: no';
COMMENT ON COLUMN places.unit_change_step.reason IS 'personal: no';
COMMENT ON COLUMN places.unit_change_step.done_by IS
'personal: pseudonymous id of who did it; purpose: accountability; basis: public duty; kept: 10 years';

CREATE INDEX IF NOT EXISTS unit_change_step_of_change ON places.unit_change_step (change_id, step_id);

-- A unit that a change still to come would end: no second change may have it at the same time.
CREATE TABLE IF NOT EXISTS places.unit_held (
    unit_id text NOT NULL,
    change_id text NOT NULL,
    CONSTRAINT unit_held_pkey PRIMARY KEY (unit_id),
    CONSTRAINT unit_held_by_a_change FOREIGN KEY (change_id) REFERENCES places.unit_change (change_id)
);
COMMENT ON TABLE places.unit_held IS 'Units that a change still to come would end';
COMMENT ON COLUMN places.unit_held.unit_id IS 'personal: no';
COMMENT ON COLUMN places.unit_held.change_id IS 'personal: no';

CREATE INDEX IF NOT EXISTS unit_held_of_change ON places.unit_held (change_id);
