"""Check of the filepool's invariants, and repair. Reads everything; for operators."""
