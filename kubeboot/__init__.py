"""Provision and bootstrap highly available Kubernetes clusters."""

__version__ = "0.1.0"
