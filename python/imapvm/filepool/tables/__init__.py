"""Tables of the filepool: keys, rows, and how each table is read and written in a transaction."""
