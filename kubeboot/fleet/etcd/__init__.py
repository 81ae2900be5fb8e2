"""etcd as commands ask for it: its state, its snapshots, its repair, and machines that run nothing else."""
