"""What was asked for: the cluster's description, its loading, merging and rules, and the versions."""
