"""Which machines there are, what for, and how one gets in: from Ansible's inventories or the Cluster file."""
