-- Takes away what roles.sql made, once no database needs it.
DROP ROLE IF EXISTS corpus_owner, corpus_reader, "Corpus ""odd"" Role", "corpus größe 📏";
