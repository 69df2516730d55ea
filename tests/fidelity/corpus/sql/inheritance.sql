-- Do inherited tables come back, also those whose columns a restore puts in another order?
CREATE TABLE parent (id integer, name text NOT NULL CHECK (name <> '') NO INHERIT, shared integer DEFAULT 1);
CREATE TABLE other_parent (shared integer, extra text);
CREATE TABLE child (own date) INHERITS (parent, other_parent);
CREATE TABLE grandchild (LIKE parent INCLUDING ALL) INHERITS (child);
ALTER TABLE child ALTER shared SET DEFAULT 2;
CREATE TABLE adopted (extra text, shared integer);
ALTER TABLE adopted INHERIT other_parent;
INSERT INTO parent VALUES (1, 'parent');
INSERT INTO child VALUES (2, 'child', 5, 'x', '2026-01-01');
INSERT INTO grandchild (id, name) VALUES (3, 'grandchild');
INSERT INTO adopted VALUES ('adopted', 9);
-- The usual way to get there: the parent learns a column that its children then have last, and a restored
-- child has first. Values stay with their names; only the order changes.
ALTER TABLE parent ADD COLUMN learnt_later text DEFAULT 'later';
