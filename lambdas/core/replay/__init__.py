"""replay: the steps of the replay workflow."""
