"""When schedules are due: what they say (pure), and the engine's time, which can be moved forwards."""
