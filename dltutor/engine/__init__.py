"""The process that runs one lab and talks: the only one that compiles, trains, and imports labs."""
