-- Do publications and subscriptions come back, the latter asleep?
CREATE TABLE published (id integer PRIMARY KEY, a text, b text);
INSERT INTO published VALUES (1, 'x', 'y');
CREATE PUBLICATION corpus_everything FOR ALL TABLES WITH (publish = 'insert');
CREATE PUBLICATION corpus_some FOR TABLE published (id, a) WHERE (id > 0 AND a IN ('x', 'z')) WITH (publish_via_partition_root = true);
CREATE PUBLICATION corpus_schema FOR TABLES IN SCHEMA publications;
CREATE PUBLICATION corpus_empty;
ALTER PUBLICATION corpus_empty OWNER TO CURRENT_USER;
CREATE SUBSCRIPTION corpus_subscription CONNECTION 'host=nowhere.invalid dbname=x' PUBLICATION a, "B b"
WITH (connect = false, enabled = false, slot_name = NONE, create_slot = false, binary = true);
