"""What the host tool knows about single branches: a package each, found by its name."""
