"""digest: one mail about all notices that came together."""
