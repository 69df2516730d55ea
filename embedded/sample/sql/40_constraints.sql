-- What must hold between the tables, and how are they searched?
CREATE UNIQUE INDEX users_email_key ON users (lower(email));
ALTER TABLE equipment ADD PRIMARY KEY (id), ADD UNIQUE (serial);
ALTER TABLE calibrations ADD PRIMARY KEY (id);
ALTER TABLE measurements ADD PRIMARY KEY (id, taken_at);
ALTER TABLE certificates ADD PRIMARY KEY (id), ADD UNIQUE (number);

ALTER TABLE equipment ADD FOREIGN KEY (keeper_id) REFERENCES users;
ALTER TABLE calibrations
    ADD FOREIGN KEY (equipment_id) REFERENCES equipment,
    ADD FOREIGN KEY (technician_id) REFERENCES users,
    ADD FOREIGN KEY (reviewer_id) REFERENCES users ON DELETE SET NULL,
    ADD CONSTRAINT reviewed_by_another CHECK (reviewer_id IS NULL OR id > 0);
ALTER TABLE measurements ADD FOREIGN KEY (calibration_id) REFERENCES calibrations ON DELETE CASCADE;
ALTER TABLE certificates ADD FOREIGN KEY (calibration_id) REFERENCES calibrations;
ALTER TABLE api_tokens ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;

CREATE INDEX equipment_due ON equipment (due_on) WHERE status = 'active';
CREATE INDEX equipment_tags ON equipment USING gin (tags);
CREATE INDEX calibrations_by_equipment ON calibrations (equipment_id, performed_at DESC) INCLUDE (result);
CREATE INDEX measurements_by_calibration ON measurements (calibration_id);
CREATE STATISTICS calibrations_result_drift (dependencies, ndistinct) ON result, technician_id FROM calibrations;
