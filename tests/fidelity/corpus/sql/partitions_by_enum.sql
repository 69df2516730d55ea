-- Do rows survive whose partition follows from an enum's hash? (Enum values hash by oid, which a restore
-- changes, so rows may rightly land in another partition of the same table; pg_dump loads through the root.)
CREATE TYPE mood AS ENUM ('calm', 'tense', 'furious', 'serene', 'bored');
CREATE TABLE moods (who integer, mood mood) PARTITION BY HASH (mood);
CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE moods_1 PARTITION OF moods FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE moods_2 PARTITION OF moods FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO moods
SELECT n, (enum_range(NULL::mood))[1 + n % 5] FROM generate_series(1, 100) AS n;
