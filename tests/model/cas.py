"""Explicit-state model of compare-and-set (`expected_version`) beside bulk updates, for one record that lies in the table.

    python -m tests.model.cas              all scenarios
    python -m tests.model.cas --break all  builds in each mistake of MISTAKES in turn; the checker must object to every one

It stands beside tiers.py, whose register knows values and no versions. A bulk update gives a row another revision while a
compare-and-set that has looked at the row is about to put its object in front of it: neither sees the other's condition.

Shared state
  hot   None | Doc | Tomb: the record's object. A value is its own revision here.
          over    the mark: the row's revision that a compare-and-set relied on; None where there is none
          named   the revision of the compare-and-set over which a bulk update (or itself) has settled what counts
  row   revision of the record's row, None where there is none
  log   what was committed, in order; a commit is a compare-and-set on its length

Rules
  compare-and-set  over a row: PUT If-None-Match with the mark; over an object with a mark: PUT If-Match with that same mark.
          Then it looks at the log once more. The row that it relied on: done. Another one: it lost, and puts that row back in
          front, If-Match, marked with the row's own revision and naming itself. Where that is refused, the object says what a
          bulk update has settled, or nobody can tell. Its own row, or none (a compaction came by): done if no bulk update
          has been committed since its first look, else nobody can tell.
  plain   writes bear no mark: who wrote last counts, wherever a bulk update is put among them.
  bulk update  looks at the object again after its commit. One whose mark is not the newest row's revision came first, or
          must not count: the row is put back in front of it, naming it. Over a tombstone that relied on the row which this
          update replaced, one marked with its own revision is put, naming it: the delete came first, and this update finds
          nothing. A document that a compaction has folded meanwhile is changed as a single one.

Promise checked at every end: linearizable against one register with versions. Allowed beyond that:
  - an operation that died, and a compare-and-set whose outcome is said to be unknown, may or may not have happened, the
    latter two on whatever version there was;
  - a compare-and-set that is refused may have been seen for that moment, as what it put (or as a record that is not there);
  - a bulk update that says of a record that it is not there, since a delete with a version came first, or that died, likewise.
"""

import itertools
import sys
from collections import namedtuple

MISTAKES = (
    "no second look at the log",
    "no look after the commit",
    "no mark",
    "marks are not inherited",
    "only marks of the row that was replaced",
    "what is put back bears no mark",
    "tombstones are not sealed",
    "every tombstone is sealed",
    "refused where nobody can tell",
    "done when folded",
    "put back unconditionally",
)
BROKEN = set()
LAST = 10**6

State = namedtuple("State", "hot row log etags")
Doc = namedtuple("Doc", "value over named etag")
Tomb = namedtuple("Tomb", "value over named etag")
DONE, REFUSED, UNKNOWN = "done", "refused", "unknown"


def put(s, kind, value, over=None, named=None):
    if "no mark" in BROKEN:
        over = None
    return s._replace(hot=kind(value, over, named, s.etags), etags=s.etags + 1)


def put_back(s, named):
    over = None if "what is put back bears no mark" in BROKEN else s[1]
    return put(s[0], Doc, s[1], over, named)


def visible(s):
    return s.row if s.hot is None else s.hot.value if isinstance(s.hot, Doc) else None


def done(s, result):
    return s, ("done", result)


def has_version(hot, version):
    return isinstance(hot, Doc) and hot.value == version


# ------------------------------------------------------------------ actors: step(state, local) -> (state, local)
def cas(name, kind):
    """loc[1]: the expected version. A chain of them goes through "match"."""

    def step(s, loc):
        pc, expected = loc[:2]
        if pc in ("start", "again"):
            if s.hot is None:
                return done(s, REFUSED) if pc == "again" else (s, ("table", expected))
            return (s, ("match", expected, s.hot)) if has_version(s.hot, expected) else done(s, REFUSED)
        if pc == "table":
            if s.row is None:
                return s, ("again", expected)
            return (s, ("fresh", expected, len(s.log))) if s.row == expected else done(s, REFUSED)
        if pc == "fresh":
            if s.hot is not None:
                return s, ("start", expected)
            s = put(s, kind, name, expected)
            return s, ("verify", expected, s.hot, expected, loc[2])
        if pc == "match":
            if s.hot != loc[2]:
                return s, ("start", expected)
            mark = None if "marks are not inherited" in BROKEN else loc[2].over
            s = put(s, kind, name, mark)
            return done(s, DONE) if mark is None else (s, ("verify", expected, s.hot, mark, 0))
        if pc == "verify":
            _, _, mine, over, since = loc
            if s.row == over or "no second look at the log" in BROKEN:
                return done(s, DONE)
            if s.row in (None, name):
                told = "bulk" not in s.log[since:] or "done when folded" in BROKEN
                return done(s, DONE if told else UNKNOWN)
            return s, ("restore", expected, mine, s.row)
        if pc == "restore":
            _, _, mine, row = loc
            if s.hot == mine or "put back unconditionally" in BROKEN:
                return done(put_back((s, row), name), REFUSED)
            return s, ("look", expected)
        if pc == "look":
            if s.hot is not None and s.hot.named == name:
                return done(s, REFUSED if isinstance(s.hot, Doc) else DONE)
            return done(s, REFUSED if "refused where nobody can tell" in BROKEN else UNKNOWN)

    return step


def change(name, kind):
    """A plain update or delete."""

    def step(s, loc):
        pc = loc[0]
        if pc in ("start", "again"):
            if s.hot is None:
                return done(s, False) if pc == "again" else (s, ("table",))
            return (s, ("match", s.hot)) if isinstance(s.hot, Doc) else done(s, False)
        if pc == "table":
            return s, ("fresh",) if s.row else ("again",)
        if s.hot != (loc[1] if pc == "match" else None):
            return s, ("start",)
        return done(put(s, kind, name), True)

    return step


def bulk(name):
    def step(s, loc):
        pc = loc[0]
        if pc == "start":
            return s, ("object", len(s.log), s.row)
        if pc == "object":
            return s, ("commit", *loc[1:]) if s.hot is None and loc[2] else ("single", "start")
        if pc == "commit":
            if len(s.log) != loc[1]:
                return s, ("start",)
            s = s._replace(row=name, log=(*s.log, "bulk"))
            return done(s, True) if "no look after the commit" in BROKEN else (s, ("check", loc[2]))
        if pc == "check":
            return (s, ("judge", loc[1])) if s.hot is not None else done(s, True)
        if pc == "judge":
            hot, before = s.hot, loc[1]
            if hot is None or hot.over in (None, name):
                return done(s, True)
            if "only marks of the row that was replaced" in BROKEN and hot.over != before:
                return done(s, True)
            return s, ("row", before, hot)
        if pc == "row":
            _, before, hot = loc
            if s.row == hot.over != before:  # `before` again: an older row was put back, and folded over ours
                return done(s, True)
            first = hot.over == before and s.row == name  # who replaced our row has looked at objects before
            if isinstance(hot, Tomb) and (first or s.row in (None, before) or "every tombstone is sealed" in BROKEN):
                if "tombstones are not sealed" in BROKEN:
                    return done(s, False)
                return s, ("seal", before, hot, hot.value if first or "every tombstone is sealed" in BROKEN else None)
            if s.row in (None, before, hot.value):
                return s, ("apply", before, hot)
            return s, ("restore", before, hot, s.row)
        if pc in ("seal", "apply", "restore"):
            _, before, hot, *more = loc
            if s.hot != hot:
                return s, ("check", before)
            if pc == "seal":
                over = None if "what is put back bears no mark" in BROKEN else name
                return done(put(s, Tomb, hot.value, over, more[0]), False)
            if pc == "apply":
                return done(put(s, Doc, name), True)
            return done(put_back((s, more[0]), hot.value), True)
        if pc == "single":
            s, inner = change(name, Doc)(s, loc[1:])
            return (s, inner) if inner[0] == "done" else (s, ("single", *inner))

    return step


def read(s, loc):
    if loc[0] == "start":
        return (s, ("table",)) if s.hot is None else done(s, visible(s))
    return done(s, s.row)


def compact(s, loc):
    pc = loc[0]
    if pc == "start":
        return s, ("object", len(s.log), s.row)
    if pc == "object":
        if s.hot is None:
            return done(s, None)
        return s, ("drop", s.hot) if has_version(s.hot, loc[2]) else ("fold", s.hot, *loc[1:])
    if pc == "fold":
        if len(s.log) != loc[2]:
            return s, ("start",)
        row = loc[1].value if isinstance(loc[1], Doc) else None
        return s._replace(row=row, log=(*s.log, "compact")), ("drop", loc[1])
    return done(s._replace(hot=None) if s.hot == loc[1] else s, None)


# ------------------------------------------------------------------ one register with versions
def outcomes(op, result, value):
    """The values that there may be after an operation with that result."""
    kind, name, expected = op
    after = None if "delete" in kind else name
    if kind == "read":
        return [value] if result == value else []
    if kind.startswith("cas"):
        if result == DONE:
            return [after] if value == expected else []
        return [value] if value != expected else []
    return [after if result else value] if result == (value is not None) else []


def overlap(a, b):
    return a is not b and b[0] < (LAST if a[1] is None else a[1]) and (LAST if b[1] is None else b[1]) > a[0]


def excused(o, ops):
    """Whether what an operation saw may have been there for a moment only."""
    kind = o[2][0]
    for x in ops:
        if not overlap(o, x):
            continue
        doomed = x[2][0].startswith("cas") and x[3] == REFUSED
        unfound = x[2][0] == "bulk" and not x[3]
        if kind == "read" and o[1] != LAST:
            if doomed and o[3] == (None if "delete" in x[2][0] else x[2][1]):
                return True
            if unfound and o[3] == x[2][1]:
                return True
        if doomed and "delete" in x[2][0] and o[3] is False:
            return True
        if (doomed or unfound) and o[3] == REFUSED:
            return True
    return False


def linearizable(initial, ops):
    """ops: (called, returned or None, (kind, name, expected), result)."""

    def search(value, left):
        if all(o[1] is None or o[3] == UNKNOWN for o in left):
            return True
        horizon = min(o[1] for o in left if o[1] is not None and o[3] != UNKNOWN)
        for o in left:
            if o[0] > horizon:
                continue
            rest = tuple(x for x in left if x is not o)
            if o[1] is None or o[3] == UNKNOWN:
                if o[2][0] != "read" and search(None if "delete" in o[2][0] else o[2][1], rest):
                    return True
                continue
            if any(search(after, rest) for after in outcomes(o[2], o[3], value)):
                return True
            if excused(o, ops) and search(value, rest):
                return True
        return False

    return search(initial, tuple(ops))


# ------------------------------------------------------------------ every interleaving
KINDS = {
    "cas": lambda name: cas(name, Doc),
    "cas delete": lambda name: cas(name, Tomb),
    "cas on what is there": lambda name: cas(name, Doc),
    "cas delete on what is there": lambda name: cas(name, Tomb),
    "update": lambda name: change(name, Doc),
    "delete": lambda name: change(name, Tomb),
    "bulk": bulk,
    "read": lambda name: read,
    "compact": lambda name: compact,
}
ROW = State(None, "old", ("load",), 1)


def begun(kind, s):
    if kind.endswith("what is there"):
        return ("start", visible(s))
    return ("start", "old") if kind.startswith("cas") else ("start",)


def explore(names, mortal=False):
    """All interleavings; where `mortal`, one may die at any point. None, or the history that breaks the promise."""
    actors = [(kind, f"{kind}{number}") for number, kind in enumerate(names)]
    steps = [KINDS[kind](name) for kind, name in actors]
    stack, seen = [(ROW, (("idle",),) * len(names), (), mortal)], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        s, locs, hist, may_die = node
        live = [i for i, loc in enumerate(locs) if loc[0] not in ("done", "dead")]
        for i in live:

            def at(loc, i=i):
                return (*locs[:i], loc, *locs[i + 1 :])

            if locs[i][0] == "idle":
                loc = begun(actors[i][0], s)
                if loc[-1] is not None:
                    stack.append((s, at(loc), (*hist, (i, "call", loc[-1])), may_die))
                else:  # there is no version to rely on
                    stack.append((s, at(("done", None)), hist, may_die))
                continue
            if locs[i][0] == "drop" and any(j != i and locs[j][0] != "idle" for j in live):
                continue  # the grace period outlasts them
            s2, loc = steps[i](s, locs[i])
            stack.append((s2, at(loc), (*hist, (i, "ret", loc[1])) if loc[0] == "done" else hist, may_die))
            if may_die:
                stack.append((s, at(("dead",)), hist, False))
        if live:
            continue
        ops = []
        for i, (kind, name) in enumerate(actors):
            calls = [(k, e[2]) for k, e in enumerate(hist) if e[:2] == (i, "call")]
            back = [(k, e[2]) for k, e in enumerate(hist) if e[:2] == (i, "ret")]
            if calls and kind != "compact":
                returned, result = back[0] if back else (None, None)
                ops.append((calls[0][0], returned, (kind, name, calls[0][1]), result))
        ops.append((LAST - 1, LAST, ("read", None, None), visible(s)))
        if not linearizable("old", ops):
            return {"names": names, "history": [(actors[i][1], *e) for i, *e in hist], "locals": locs, "state": s}
    explore.states += len(seen)
    return None


explore.states = 0


def scenarios():
    """Who acts: the small ones first."""
    for size in (2, 3):
        for names in itertools.combinations_with_replacement(KINDS, size):
            if "bulk" in names and any(name.startswith("cas") for name in names):
                yield names
    yield "cas", "bulk", "bulk", "read"
    yield "cas", "bulk", "bulk", "cas on what is there"
    yield "cas delete", "bulk", "bulk", "update"
    yield "cas delete", "bulk", "bulk", "compact"
    yield "cas", "bulk", "compact", "compact"


def check(stop_at_first=False):
    """What breaks the promise."""
    broken = []
    for names in scenarios():
        for mortal in (False, True) if len(names) < 4 else (False,):
            if found := explore(names, mortal):
                broken.append(found)
                if stop_at_first:
                    return broken
                break
    return broken


if __name__ == "__main__":
    if "--break" in sys.argv:
        missed = []
        for mistake in MISTAKES:
            BROKEN.clear()
            BROKEN.add(mistake)
            found = check(stop_at_first=True)
            print(f"{'caught' if found else 'MISSED'}: {mistake}  {found[0]['names'] if found else ''}", flush=True)
            missed += [] if found else [mistake]
        sys.exit(bool(missed))
    problems = check()
    for problem in problems[:40]:
        print(problem)
    print(f"{explore.states:,} states; {len(problems)} scenarios break the promise")
    sys.exit(bool(problems))
