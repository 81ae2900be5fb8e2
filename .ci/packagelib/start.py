"""The first code of kubeboot.pyz: put what it holds for this Python into a private place, once, and run it.

Extension modules can only be loaded from real files. Nothing but the standard library is imported here, and
the file must be read by any Python 3, so that an old one is told so.
"""

import sys

OLDEST = (3, 11)


def main():  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Run the command line of the kubeboot that is in this file."""
    if sys.version_info < OLDEST:
        _end("kubeboot needs Python 3.11 or newer, and this is %d.%d" % sys.version_info[:2])  # noqa: UP031
    import argv  # type: ignore[import-not-found]

    argv.blank()  # unpacking takes a moment, and secrets are not to be seen meanwhile
    import unpack  # type: ignore[import-not-found]

    try:
        place = unpack.place()
    except OSError as error:
        why = "%s: %s" % (error.filename, (error.strerror or "").lower())  # noqa: UP031
        _end(why, "name a private directory with room for 60 MB in KUBEBOOT_CACHE")
    sys.path[:] = [place] + [path for path in sys.path[1:] if not path.endswith("-packages")]
    from kubeboot.cli.main import run

    run()


def _end(problem, hint="install python3.11 or newer and say `python3.11 kubeboot.pyz`"):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    sys.stderr.write("error: %s\nhint: %s\n" % (problem, hint))  # noqa: UP031
    sys.exit(1)


if __name__ == "__main__":
    main()
