"""The Kubernetes API as kubeboot uses it: typed reads, server-side apply, discovery, conditions."""
