"""The start of the `modelyard` command: Ctrl-C ends it without a traceback even while it is being imported."""

import signal


def main() -> None:
    """Run the command line and exit."""
    # Where the parent ignores Ctrl-C, as a shell does for what it runs in the background, that stays so.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from modelyard.cli.main import app

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    app()


if __name__ == "__main__":
    main()
