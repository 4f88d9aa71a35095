"""What `sluice compact` knows of the lake."""
