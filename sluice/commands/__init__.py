"""The verbs of `sluice`: a module each, called what the user types; it parses, calls and prints. See `sluice.cli`.

A module whose name begins with `_` is shared by several verbs.
"""
