"""The `anabranch` command: from its arguments to its exit code, whatever happens on the way."""

import atexit
import os
import signal
import sys
from typing import NoReturn

from anabranch.command import interrupts
from anabranch.command.stdout import open_streams

USAGE = 2  # exit code


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 failed, 2 usage, 3 partly failed, 4 nothing to do, 5 stopped."""
    open_streams()
    if arguments is None:
        interrupts.note_all()
    result: list[int] = []
    atexit.register(_end, result)  # registered first, and so called last
    code = _run(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:  # otherwise the process belongs to the caller
        result.append(code)
    # the exit code is settled; a late Ctrl-C must not change it
    interrupts.handle(lambda *_: os._exit(code), *interrupts.SIGNALS)
    if result and interrupts.hasty():
        _end(result)
    sys.exit(code)


def become(command: str) -> NoReturn:
    """Re-exec as `anabranch COMMAND`, so that the server's address is set before Prefect is imported."""
    os.execv(sys.executable, [sys.executable, "-m", "anabranch.command.cli", command, *sys.argv[1:]])  # noqa: S606  no shell


def _end(result: list[int]) -> None:
    """End the process without tearing down what it imported, which would take a tenth of a second."""
    for number in interrupts.SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if result:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(result[0])


def _run(words: list[str]) -> int:
    with interrupts.leaving():
        from cyclopts import CycloptsError

        from anabranch.command.app import app
        from anabranch.core.errors import as_ours
    interrupts.handle(interrupts.interrupt, *interrupts.SIGNALS)
    try:
        return int(app(words, exit_on_error=False, print_error=False, result_action="return_value") or 0)
    except CycloptsError as error:
        print(f"error: {error} See `anabranch --help`.", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return _stopped()
    except Exception as error:
        if interrupts.seen():
            return _stopped()
        if "--debug" in words:
            raise
        ours = as_ours(error)
        print(f"error: {ours}", file=sys.stderr)
        return ours.exit_code


def _stopped() -> int:
    print(interrupts.MESSAGE, file=sys.stderr)
    return interrupts.STOPPED


if __name__ == "__main__":
    main()
