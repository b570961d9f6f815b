"""Configuration: the TOML file with line numbers, and the settings made from it."""
