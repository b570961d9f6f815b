"""LMDB environments, the group-commit writer and its transactions. No table is named here."""
