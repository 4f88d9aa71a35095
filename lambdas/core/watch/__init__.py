"""watch: publishes how many objects are unfinished and how old the oldest is."""
