"""LMDB environments, the group-commit writer, its transactions, and the directory format.

Names no table: those are in `imapvm.filepool.tables`.
"""
