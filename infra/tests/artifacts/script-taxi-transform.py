# A test's script.
