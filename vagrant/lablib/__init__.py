"""The lab: machines to try kubeboot on, and the artifacts that they need."""
