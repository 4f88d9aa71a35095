"""Which version of each function is in service: gradual shifts to a new one, and the way back."""
