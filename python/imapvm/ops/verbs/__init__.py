"""Verb families of the command line: arguments, and the function that carries out each verb.

Modules here import Trio, LMDB and the server inside functions only, so that help and usage errors
are printed at once.
"""
