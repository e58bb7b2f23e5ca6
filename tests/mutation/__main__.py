"""`python -m tests.mutation`: plants each bug in a copy of the code, runs the proofs, says which test saw it first."""

from __future__ import annotations

import argparse
import random
import sys
from concurrent.futures import ThreadPoolExecutor

from hpsearch.cli.stopping import stop_signals
from tests.mutation.bugs import BUGS, Bug, StaleEditError
from tests.mutation.field import PROOFS, Finding, planted, prove


def _try(bug: Bug | None, seed: int) -> Finding | str:
    """Return what the proofs find, or why the bug could not be planted or looked for."""
    try:
        with planted(bug) as root:
            return prove(root, PROOFS, seed=seed)
    except (StaleEditError, RuntimeError) as error:
        return str(error)


def main() -> int:
    """Print the table; return 0 only if every bug was seen and the code without one is green."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000), help="of the model")
    parser.add_argument("--jobs", type=int, default=2, help="copies proven at once")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of bugs, from 1; 0 is the code as it is")
    options = parser.parse_args()
    chosen = [(0, None), *enumerate(BUGS, 1)]
    if options.only:
        chosen = [(number, bug) for number, bug in chosen if number in options.only]
    print(f"seed {options.seed}: python -m tests.mutation --seed {options.seed}")
    print("| | planted bug | first test that is red | seconds |\n|---|---|---|---|", flush=True)
    n_wrong = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        running = [(number, bug, pool.submit(_try, bug, options.seed)) for number, bug in chosen]
        for number, bug, one in running:
            found = one.result()
            title = bug.name if bug is not None else "none"
            if isinstance(found, str):
                print(f"| {number} | {title} | NOT PLANTED | - |\n\n{found}\n", flush=True)
            else:
                told = found.first or ("all green" if bug is None else "NOT SEEN")
                print(f"| {number} | {title} | `{told}` | {found.seconds:.0f} |", flush=True)
                if bug is None and found.first is not None:
                    print(found.output)
            n_wrong += isinstance(found, str) or (found.first is None) != (bug is None)
    n_bugs = sum(bug is not None for _, bug in chosen)
    print(f"\n{'all as it should be' if not n_wrong else f'{n_wrong} not as they should be'}; {n_bugs} bugs planted")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    with stop_signals():  # so that what was started is ended, too
        sys.exit(main())
