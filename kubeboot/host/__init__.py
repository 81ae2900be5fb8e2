"""The machine: what can be read of it (View), what can be changed (Target), and how to get there."""
