-- The State's calendar as dated facts with a status, and who decided what about a day. See ADR 0043.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE SCHEMA IF NOT EXISTS places;

-- A day that is off, or worked, otherwise than its weekday says. `decided_at`: an administrator
-- has decided about it, and a later release of the facts leaves it alone.
CREATE TABLE IF NOT EXISTS places.calendar_day (
    on_day date NOT NULL,
    kind text NOT NULL,
    applies_to text NOT NULL,
    name text NOT NULL,
    legal_basis text NOT NULL,
    status text NOT NULL,
    note text NOT NULL DEFAULT '',
    decided_at timestamptz,
    CONSTRAINT calendar_day_pkey PRIMARY KEY (on_day, kind, applies_to),
    CONSTRAINT calendar_day_kind_is_known CHECK (kind IN ('holiday', 'swapped-day-off', 'makeup-workday')),
    CONSTRAINT calendar_day_applies_to_somebody CHECK (applies_to IN ('all', 'state-bodies')),
    CONSTRAINT calendar_day_status_is_known CHECK (status IN ('published', 'to-be-confirmed', 'struck'))
);
COMMENT ON TABLE places.calendar_day IS 'Days off and make-up workdays of the State, each with its status';
COMMENT ON COLUMN places.calendar_day.kind IS 'personal: no';
COMMENT ON COLUMN places.calendar_day.applies_to IS 'personal: no';
COMMENT ON COLUMN places.calendar_day.name IS 'personal: no';
COMMENT ON COLUMN places.calendar_day.legal_basis IS 'personal: no';
COMMENT ON COLUMN places.calendar_day.status IS 'personal: no';
COMMENT ON COLUMN places.calendar_day.note IS 'personal: no';

-- What an administrator decided about a day: the day before and after, as text that people read back.
CREATE TABLE IF NOT EXISTS places.calendar_decision (
    decision_id bigint GENERATED ALWAYS AS IDENTITY,
    on_day date NOT NULL,
    kind text NOT NULL,
    applies_to text NOT NULL,
    former jsonb,
    later jsonb NOT NULL,
    reason text NOT NULL,
    decided_at timestamptz NOT NULL,
    decided_by text NOT NULL,
    CONSTRAINT calendar_decision_pkey PRIMARY KEY (decision_id)
);
COMMENT ON TABLE places.calendar_decision IS 'Who decided what about a day of the calendar, when and why';
COMMENT ON COLUMN places.calendar_decision.kind IS 'personal: no';
COMMENT ON COLUMN places.calendar_decision.applies_to IS 'personal: no';
COMMENT ON COLUMN places.calendar_decision.former IS 'personal: no';
COMMENT ON COLUMN places.calendar_decision.later IS 'personal: no';
COMMENT ON COLUMN places.calendar_decision.reason IS 'personal: no';
COMMENT ON COLUMN places.calendar_decision.decided_by IS
'personal: pseudonymous id of who decided it; purpose: accountability; basis: public duty; kept: 10 years';

CREATE INDEX IF NOT EXISTS calendar_decision_of_day ON places.calendar_decision (on_day, decision_id);
