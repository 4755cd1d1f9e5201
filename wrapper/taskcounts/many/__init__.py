"""Many jobs at once: how many are asked for at a time, and results as they come."""
