"""What people install: wheel, sdist, kubeboot.pyz and the man page, each the same bytes from the same tree."""
