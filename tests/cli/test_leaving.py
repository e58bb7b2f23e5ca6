"""The end of a command: at once, but with everything done that was asked for at its end."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from hpsearch.client.wakeups import Wakeups


def test_what_is_registered_for_the_end_is_done_before_the_short_way_out() -> None:
    program = (
        "import atexit; from hpsearch.cli.parent_watch import leave\n"
        "atexit.register(print, 'said goodbye'); print('last line'); leave(3)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stdout.split("\n") == ["last line", "said goodbye", ""]


def test_a_closed_stream_does_not_keep_it() -> None:
    program = "import sys; from hpsearch.cli.parent_watch import leave\nsys.stdout.close(); leave(0)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def test_the_end_of_a_study_ends_the_rest_between_two_looks() -> None:
    wakeups = Wakeups(lambda: None, "study")  # type: ignore[arg-type,return-value]
    threading.Timer(0.05, wakeups._ended.set).start()
    began_s = time.monotonic()
    wakeups.rest(20.0)
    assert time.monotonic() - began_s < 10
