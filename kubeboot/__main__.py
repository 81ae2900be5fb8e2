"""Run the command line: `python -m kubeboot`."""

from kubeboot.cli.main import run

if __name__ == "__main__":
    run()
