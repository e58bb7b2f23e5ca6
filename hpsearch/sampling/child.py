"""The sampling process: answers one suggestion request after the other until its parent is gone.

Started by `BackgroundSampler` as a fresh interpreter (not through `multiprocessing`, which would run the parent's main
module again), with one end of a socket pair as its only channel.
"""

from __future__ import annotations

import signal
import sys
from multiprocessing.connection import Connection

from hpsearch.errors import HpsearchError
from hpsearch.processes import die_with_parent
from hpsearch.sampling import tpe  # noqa: F401 - loads Optuna now, so that the first answer does not wait for it
from hpsearch.sampling.importance import ImportanceRequest, importances
from hpsearch.sampling.request import SuggestRequest
from hpsearch.sampling.suggest import suggest


def main() -> None:
    """Answer requests on the file descriptor given as first argument; returns when the parent is gone.

    A request is a `SuggestRequest` or an `ImportanceRequest`, an answer either the list of points (or of shares) or the
    `HpsearchError` to raise. Any other exception ends the process with a traceback on standard error: the parent
    reports its last line.
    """
    # Ctrl-C in a terminal reaches the whole group; it is the parent's to decide when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Also ends an answer that is not waited for any more. The thread that started this process may end before it.
    die_with_parent(int(sys.argv[2]), poll_only=True)
    channel: Connection[object, object] = Connection(int(sys.argv[1]))
    while True:
        try:
            request = channel.recv()
        except (EOFError, ConnectionResetError):
            return
        answer: object
        try:
            if isinstance(request, ImportanceRequest):
                answer = importances(request)
            elif isinstance(request, SuggestRequest):
                answer = suggest(request)
            else:
                msg = f"expected a SuggestRequest, received {type(request).__name__}"
                raise TypeError(msg)
        except HpsearchError as error:
            answer = error
        try:
            channel.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return
