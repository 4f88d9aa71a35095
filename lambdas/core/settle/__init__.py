"""settle: finds chunks whose function did not survive, and that no other function can record."""
