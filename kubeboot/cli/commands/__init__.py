"""One module per command: parse, load the configuration, call one action, show its result."""
