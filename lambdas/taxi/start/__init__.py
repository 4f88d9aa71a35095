"""taxi: starts attempts at a month."""
