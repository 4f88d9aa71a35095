"""Bronze objects: identity, names, formats, byte ranges, reading."""
