"""Constant POSIX sh scripts for remote machines; paths are absolute. Status 44: there is no such thing."""
