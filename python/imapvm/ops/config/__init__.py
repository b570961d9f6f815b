"""Configuration: the file, its types and checks, and the settings made from it."""
