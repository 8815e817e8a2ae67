"""Checks a model: `python -m tests.model tiers|cas [--break all|MISTAKE]`.

--break builds in a mistake, or each of them in turn: the checker must object to every one.
"""

import argparse
import sys

from tests.model import cas_promise, tiers_promise
from tests.model.explorer import check

MODELS = {"tiers": tiers_promise, "cas": cas_promise}
SHOWN_MAX = 20


def main() -> int:
    """Exit code: 0 where the promise is kept, or every mistake was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--break", dest="mistake", metavar="MISTAKE", help="one of them by its name, or all")
    arguments = parser.parse_args()
    model = MODELS[arguments.model]
    if not arguments.mistake:
        return keeps_its_promise(model)
    return finds(model, model.MISTAKES if arguments.mistake == "all" else [arguments.mistake])


def keeps_its_promise(model) -> int:
    """Goes through all scenarios."""
    checked = check(model.scenarios())
    for problem in checked.problems[:SHOWN_MAX]:
        print(*problem, sep="\n  ")
    print(f"{checked.states:,} states, {checked.ends:,} ends; {len(checked.problems)} scenarios break the promise")
    return bool(checked.problems)


def finds(model, mistakes) -> int:
    """Looks for the first scenario that shows each of the mistakes."""
    missed = 0
    for mistake in mistakes:
        model.BROKEN.clear()
        model.BROKEN.add(mistake)
        problems = check(model.scenarios(), stop_at_first=True).problems
        print("caught:" if problems else "MISSED:", mistake, flush=True)
        for problem in problems:
            print(*problem, sep="\n  ", flush=True)
        missed += not problems
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
