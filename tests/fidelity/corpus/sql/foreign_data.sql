-- Do foreign servers, user mappings and foreign tables come back? (No handler: nothing here can be read.)
CREATE FOREIGN DATA WRAPPER corpus_wrapper OPTIONS (debug 'true');
CREATE SERVER corpus_server TYPE 'imaginary' VERSION '1.2' FOREIGN DATA WRAPPER corpus_wrapper OPTIONS (host 'nowhere.example', "Odd Option" 'it''s');
CREATE USER MAPPING FOR corpus_owner SERVER corpus_server OPTIONS (username 'u', password 'in-the-mapping');
CREATE USER MAPPING FOR PUBLIC SERVER corpus_server;
CREATE FOREIGN TABLE far_away (a integer OPTIONS (column_name 'A') NOT NULL, b text) SERVER corpus_server OPTIONS (table_name 'T');
CREATE TABLE near (a integer, b text) PARTITION BY RANGE (a);
CREATE TABLE near_1 PARTITION OF near FOR VALUES FROM (1) TO (10);
CREATE FOREIGN TABLE far_2 PARTITION OF near FOR VALUES FROM (10) TO (20) SERVER corpus_server;
INSERT INTO near_1 VALUES (1, 'here');
GRANT USAGE ON FOREIGN SERVER corpus_server TO corpus_reader;
GRANT SELECT ON far_away TO corpus_reader;
COMMENT ON FOREIGN TABLE far_away IS 'Not ours';
COMMENT ON SERVER corpus_server IS 'Nowhere';
