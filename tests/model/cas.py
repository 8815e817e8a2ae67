"""Model of compare-and-set (`expected_version`) beside bulk updates, for one record that lies in the table.

    python -m tests.model cas              all scenarios
    python -m tests.model cas --break all  builds in each mistake of MISTAKES in turn; the checker must object to every one

It stands beside tiers.py, whose register knows values and no versions. A bulk update gives a row another revision while a
compare-and-set that has looked at the row is about to put its object in front of it: neither sees the other's condition.

Shared state
  hot   None | Doc | Tomb: the record's object. A value is its own revision here.
          over    the mark: the row's revision that a compare-and-set relied on; None where there is none
          named   the revision of the compare-and-set over which a bulk update (or itself) has settled what counts
  row   revision of the record's row, None where there is none
  ver   version of the log; a commit is a compare-and-set on it
  bulks how many of the commits were those of bulk updates

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

from collections import namedtuple

from tests.model.explorer import IDLE, START, Etag, Version

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
    "compactor skips a commit that changes nothing",
)
BROKEN = set()

State = namedtuple("State", "hot row ver bulks etags")
Doc = namedtuple("Doc", "value over named etag")
Tomb = namedtuple("Tomb", "value over named etag")
DONE, REFUSED, UNKNOWN = "done", "refused", "unknown"
ROW = State(None, "old", Version(1), 0, 1)
"""Where all scenarios begin."""


def put(s, kind, value, over=None, named=None):
    if "no mark" in BROKEN:
        over = None
    return s._replace(hot=kind(value, over, named, Etag(s.etags)), etags=s.etags + 1)


def put_back(s, named):
    over = None if "what is put back bears no mark" in BROKEN else s[1]
    return put(s[0], Doc, s[1], over, named)


def commit(s, row, bulks=0):
    return s._replace(row=row, ver=Version(s.ver + 1), bulks=s.bulks + bulks)


def visible(s):
    return s.row if s.hot is None else s.hot.value if isinstance(s.hot, Doc) else None


def done(s, result):
    return s, ("done", result)


def has_version(hot, version):
    return isinstance(hot, Doc) and hot.value == version


# ------------------------------------------------------------------ actors: step(state, local) -> (state, local)
def cas(name, kind):
    """loc[1]: the expected version, which is told with the result. A chain of them goes through "match"."""

    def step(s, loc):
        pc, expected, *_ = loc if loc != START else (*START, ROW.row)

        def done(s, result):
            return s, ("done", result, expected)

        if pc in ("start", "again"):
            if s.hot is None:
                return done(s, REFUSED) if pc == "again" else (s, ("table", expected))
            return (s, ("match", expected, s.hot)) if has_version(s.hot, expected) else done(s, REFUSED)
        if pc == "table":
            if s.row is None:
                return s, ("again", expected)
            return (s, ("fresh", expected, s.bulks)) if s.row == expected else done(s, REFUSED)
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
                told = s.bulks == since or "done when folded" in BROKEN
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


def on_what_is_there(step):
    """First of all it looks which version there is, and begins only where there is one."""

    def looks_first(s, loc):
        if loc == START:
            version = visible(s)
            return s, ("start", version) if version else IDLE
        return step(s, loc)

    return looks_first


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
            return s, ("object", s.ver, s.row)
        if pc == "object":
            return s, ("commit", *loc[1:]) if s.hot is None and loc[2] else ("single", "start")
        if pc == "commit":
            if s.ver != loc[1]:
                return s, ("start",)
            s = commit(s, name, bulks=1)
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
        return s, ("object", s.ver, s.row)
    if pc == "object":
        if s.hot is None:
            return done(s, None)
        if has_version(s.hot, loc[2]) and "compactor skips a commit that changes nothing" in BROKEN:
            return s, (
                "drop",
                s.hot,
            )  # what was put back is as its row is, and no compaction's commit stands between them
        return s, ("fold", s.hot, *loc[1:])
    if pc == "fold":
        if s.ver != loc[2]:
            return s, ("start",)
        return commit(s, loc[1].value if isinstance(loc[1], Doc) else None), ("drop", loc[1])
    return done(s._replace(hot=None) if s.hot == loc[1] else s, None)
