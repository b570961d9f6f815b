"""Verbs of `imapvm-bench`: one module each, with its options."""
