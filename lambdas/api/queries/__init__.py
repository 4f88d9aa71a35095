"""From an operation's parameters to rows: questions, reading, cache."""
