"""Check, journal, apply, check again: the one way in which anything is changed."""
