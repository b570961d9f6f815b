"""LMDB environments, the group-commit writer and its transactions.

Names no table: those are in `imapvm.filepool.tables`.
"""
