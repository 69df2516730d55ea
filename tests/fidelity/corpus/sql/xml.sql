-- Do XML values come back as they were written? (Where the server was built with libxml.)
DO $$
BEGIN
    CREATE TABLE xml_values (x xml);
    -- Without libxml even an empty table may have the type; only values are refused.
    BEGIN
        INSERT INTO xml_values VALUES
        (XMLPARSE(DOCUMENT '<?xml version="1.0"?><!DOCTYPE a><a b="1">é &amp; <![CDATA[<x>]]></a>')),
        (XMLPARSE(CONTENT 'text <b/> and <c>more</c>')), (XMLPARSE(CONTENT '')), (NULL);
    EXCEPTION WHEN feature_not_supported THEN
        NULL;
    END;
END
$$;
