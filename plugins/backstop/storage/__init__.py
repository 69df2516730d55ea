"""Where repositories keep their bytes. One contract (:mod:`backstop.storage.base`), several places."""
