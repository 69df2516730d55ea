-- Do text search configurations and collations come back?
CREATE TEXT SEARCH DICTIONARY plain_words (TEMPLATE = simple, STOPWORDS = english, ACCEPT = false);
CREATE TEXT SEARCH CONFIGURATION lab (COPY = english);
ALTER TEXT SEARCH CONFIGURATION lab ALTER MAPPING FOR asciiword, word WITH plain_words, english_stem;
ALTER TEXT SEARCH CONFIGURATION lab DROP MAPPING FOR url, email;
CREATE TEXT SEARCH TEMPLATE odd_template (LEXIZE = dsimple_lexize, INIT = dsimple_init);
CREATE TEXT SEARCH PARSER odd_parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE COLLATION plain (LC_COLLATE = 'C', LC_CTYPE = 'C');
CREATE COLLATION copied FROM "POSIX";
CREATE TABLE documents (
    body text COLLATE plain,
    other text COLLATE "C",
    vector tsvector GENERATED ALWAYS AS (to_tsvector('text_search.lab'::regconfig, body)) STORED
);
INSERT INTO documents (body) VALUES ('The quick brown scales are calibrated'), ('Écrit à la main'), (NULL);
CREATE INDEX ON documents USING gin (vector);
CREATE INDEX ON documents (body COLLATE copied DESC);
