"""Where binaries and images come from: a lock, sources, the bundle."""
