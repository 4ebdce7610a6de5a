"""Database and artifacts: the only room with SQL, checksums and file renames."""
