"""Verbs of `imapvm-bench`: one module each, with its options.

A verb parses options, calls another package, and prints. Measurements and tables are elsewhere.
"""
