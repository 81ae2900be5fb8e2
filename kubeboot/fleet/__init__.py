"""Machines: this one, and many over SSH. Opening them, locking them, running a plan on them."""
