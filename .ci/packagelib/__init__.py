"""What people install: wheel, sdist, kubeboot.pyz, man page; the same bytes from the same tree."""
