"""Who is speaking: exchanges as values; no I/O."""
