"""Flags beyond kubeadm's, so that kubeadm-config can name them and its upgrades keep them."""

from __future__ import annotations

CONTROLLER_MANAGER = (("kube-api-qps", "100"), ("kube-api-burst", "300"))
"""Some 110 requests make its controllers' accounts. At its default of 20 a second the first pod network waits
five seconds for them. The API server's own priorities protect it from more than it can take."""
