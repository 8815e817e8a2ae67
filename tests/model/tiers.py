"""Model of the two-tier protocol for one record id. Every interleaving of two or three actors, with crashes, is checked.

    python -m tests.model tiers              all scenarios (some seconds)
    python -m tests.model tiers --break all  builds in each mistake of MISTAKES in turn; the checker must object to every one

Who acts where, and how a promise is checked, is in tiers_promise.py; what all models share in explorer.py and register.py.

It was written before the code, found a dozen ways in which earlier designs lost or doubled a record, and fixes the order of
requests that the code must keep. Each step of an actor is ONE atomic request to the object store.

Shared state
  hot   None | Doc | Tomb: the object {prefix}{id}.json
          Doc(value, born, replaces, etag)   born: id of the creation a record goes back to (updates keep it)
                                             replaces: births of deleted records whose rows may still lie behind it
          Tomb(kills, etag)                  kills: births it declares dead
  rows  rows of this id in the newest table version: (value, born)
  ver   commits in the log; a commit is a compare-and-set on it
  fin   births whose bulk load said in its journal that it is finished
  tags  births of rows of which the log says that they are a load's, so that its journal tells whether it is finished

Rules
  reader      of one record: object and log in any order, or at once (the grace period below allows it), then packs. A reader
              of many (listing, search, count, SQL) may outlast the grace period: all pages of objects FIRST, then the log.
              A document shadows the rows; a tombstone hides the rows whose births it kills, and no others.
  committer   (load, compaction) the log first, then objects, then commit on THAT version: nothing moves between tiers unseen.
  nobody but the compactor ever deletes an object.
  change      of one existing record: always a conditional PUT of its object (document or tombstone), never a commit. If nobody
              touched the document since its creation, the log is looked at first, and births found behind it are replaced or
              killed with it.
  create      look at the log; PUT If-None-Match; look at the log again: a row of another birth means that it lost, it takes
              its object back (tombstone, If-Match) and says duplicate. Where the first look finds a row, the object is read
              instead of written. Over a tombstone: read the log first; a row whose birth the tombstone does not kill is a
              live record, so the answer is duplicate and nothing is written.
  bulk update (batch_update, batch_upsert above the threshold) log, objects, ONE commit on that version, births kept; only ids
              that had no object at the look and whose rows belong to finished births. Ids in neither tier are updated not at
              all, after another look at the log, or go as a load; all others singly as conditional PUTs. After a conflict
              rows of the same births have to be there.
  load        (batch_create) log; objects; commit; objects again: a foreign document (or a tombstone that killed one along
              with ours) means that it lost, it takes its rows back (log, commit); then it marks its journal finished, then
              it answers. Each look at an object is a HEAD, and a GET of what is there.
  adoption    (by a compaction) a load that committed and then died is finished by whoever compacts, once it cannot run any more
              (its deadline and the grace period are over): log, object, then its journal, read afresh. Where a foreign document
              stands, it lost, and its rows are taken back; otherwise its journal is marked finished. The object may have been
              read before the load was over: creators who put theirs after its commit see its row, and take theirs back.
  compaction  log, objects, journals of the loads whose births tag rows, commit on that version; rows of finished loads lose
              their tags by it. It folds a document only over rows of its own birth or of births it replaces. An untouched
              document in front of a finished row of another birth is a creator that died in the race: it is removed
              (conditionally). Deletes only what it folded, DELETE If-Match, after a commit (even one that changes nothing),
              and only a GRACE PERIOD after that commit: longer than the deadline of any operation, so that whoever looked
              at the log before it still meets the object.

Liveness, checked at every end: when nobody runs any more, compactions alone bring the store to rest: no object, every row
of a finished birth, and a reader sees what it saw before.

Left open: the register has no versions. Changes by `expected_version` beside bulk updates are in cas.py. And where a creator
and a load of one id meet, so that both lose and say duplicate, an update that began beside them may still act on the row that
the load takes back, and so bring the record into being after somebody else has seen that there is none.

Promise checked at every end, for acknowledged operations and a reader who comes last: linearizable against one register.
Allowed beyond that:
  - an operation that died may or may not have happened;
  - a create that answers "duplicate" while a rival creator of the same id was running may have been visible for that moment;
  - two deletes that overlap may both answer True;
  - a creator that died in a race with a load of the same id may stand in front until the next compaction (those scenarios
    end with one), and what a third party does to it in that time is not checked.
"""

from collections import namedtuple

from tests.model.explorer import Etag, Impossible, Version

MISTAKES = (
    "objects before log when committing",
    "compactor deletes unconditionally",
    "tombstones share an ETag",
    "create does not look again",
    "load does not look again",
    "no births",
    "compactor folds over foreign rows",
    "no grace before deleting",
    "create takes back by deleting",
    "tombstone hides every row",
    "change of a young record does not look behind it",
    "void judged from a stale log",
    "create does not look behind a tombstone",
    "bulk update over an unfinished load",
    "compactor skips a commit that changes nothing",
    "compactor folds what is contested at once",
    "nobody adopts a dead load",
    "adoption of a load that still runs",
    "adoption does not look at the object",
    "adoption judged by an old journal",
)
BROKEN = set()

State = namedtuple("State", "hot rows ver etags fin tags", defaults=(frozenset(),))
Doc = namedtuple("Doc", "value born replaces etag")
Tomb = namedtuple("Tomb", "kills etag")
NOTHING = frozenset()


def put_doc(s, value, born, replaces=NOTHING):
    return s._replace(hot=Doc(value, born, replaces, Etag(s.etags)), etags=s.etags + 1)


def put_tomb(s, kills):
    return s._replace(hot=Tomb(kills, 0 if "tombstones share an ETag" in BROKEN else Etag(s.etags)), etags=s.etags + 1)


def delete_if(s, etag):
    gone = s.hot is not None and s.hot.etag == etag
    return (s._replace(hot=None) if gone else s), gone


def commit(s, on_version, rows, settled=NOTHING, tagged=NOTHING):
    """`settled`: births whose rows bear no tag from now on; `tagged`: whose rows bear one."""
    ok = s.ver == on_version
    tags = (s.tags - settled | tagged) & births(rows)
    return (s._replace(rows=rows, ver=Version(s.ver + 1), tags=tags) if ok else s), ok


def visible(hot, rows):
    if isinstance(hot, Doc):
        return hot.value
    rows = [r for r in rows if hot is None or (r[1] not in hot.kills and "tombstone hides every row" not in BROKEN)]
    if len(rows) > 1:
        raise Impossible(f"two live rows of one id: {rows}")
    return rows[0][0] if rows else None


def births(rows):
    return frozenset(r[1] for r in rows)


def done(s, result):
    return s, ("done", result)


# ------------------------------------------------------------------ actors: step(state, local) -> (state, local)
def read(s, loc):
    if loc[0] == "start":
        return done(s, s.hot.value) if isinstance(s.hot, Doc) else (s, ("table", s.hot))
    return done(s, visible(loc[1], s.rows))


def scan(s, loc):
    """A reader that looks the other way round: the log, then the object."""
    return (s, ("object", s.rows)) if loc[0] == "start" else done(s, visible(s.hot, loc[1]))


def create(v):
    def step(s, loc):
        pc = loc[0]
        if pc == "start":
            return s, ("glance",) if s.rows else ("put",)
        if pc == "put":
            if s.hot is not None:
                return s, ("look",)
            s2 = put_doc(s, v, v)
            return s2, ("check", s2.hot.etag)
        if pc in ("glance", "look"):
            if s.hot is None:  # after a glance: no object and, a moment ago, a row: is it still there?
                return s, ("confirm",) if pc == "glance" else ("start",)
            return done(s, "duplicate") if isinstance(s.hot, Doc) else (s, ("behind", s.hot))
        if pc == "confirm":
            return done(s, "duplicate") if s.rows else (s, ("start",))
        if pc == "behind":  # a live row behind a tombstone that does not kill it?
            alive = births(s.rows) - loc[1].kills and "create does not look behind a tombstone" not in BROKEN
            return done(s, "duplicate") if alive else (s, ("replace", loc[1]))
        if pc == "replace":
            if s.hot != loc[1]:
                return s, ("start",)
            s2 = put_doc(s, v, v, loc[1].kills)
            return s2, ("check", s2.hot.etag, loc[1].kills)
        if pc == "check":
            mine = frozenset({v}) | (loc[2] if len(loc) > 2 else NOTHING)
            if "no births" in BROKEN:
                mine = NOTHING
            if "create does not look again" in BROKEN or not births(s.rows) - mine:
                return done(s, "ok")
            return s, ("undo", loc[1])
        if pc == "undo":  # a tombstone, not a DELETE: a compactor may have read it already
            mine = s.hot is not None and s.hot.etag == loc[1]
            if "create takes back by deleting" in BROKEN:
                return done(delete_if(s, loc[1])[0], "duplicate")
            return done(put_tomb(s, s.hot.replaces | {v}) if mine else s, "duplicate")

    return step


def foreign_to(born, hot):
    """Whether the object says that a load of that birth lost its id to somebody."""
    return (isinstance(hot, Doc) and hot.born != born) or (isinstance(hot, Tomb) and born in hot.kills != {born})


def contested(hot, rows):
    """Whether folding the object takes rows of other creations than its own away: a creator that has still to look for them
    would think that it was alone.
    """
    if isinstance(hot, Tomb):
        return len(hot.kills) > 1 and bool(births(rows) & hot.kills)
    return isinstance(hot, Doc) and bool(births(rows) & (hot.replaces - {hot.born}))


def load(v):
    def step(s, loc):
        pc = loc[0]
        if pc == "start":
            return s, ("object", s.ver, bool(s.rows))
        if pc == "object":  # HEAD: is there one?
            if s.hot is not None:
                return s, ("fetch",)
            return (s, ("confirm",)) if loc[2] else (s, ("commit", loc[1]))
        if pc == "fetch":
            return done(s, "duplicate") if isinstance(s.hot, Doc) else (s, ("single", "start"))
        if pc == "confirm":
            return done(s, "duplicate") if s.rows else (s, ("single", "start"))
        if pc == "commit":
            s2, ok = commit(s, loc[1], frozenset({(v, v)}), tagged={v})
            return (s2, ("check",)) if ok else (s, ("start",))
        if pc == "check":  # HEAD again
            again = s.hot is not None and "load does not look again" not in BROKEN
            return s, ("judge",) if again else ("finish", "ok")
        if pc == "judge":
            return s, ("undo",) if foreign_to(v, s.hot) else ("finish", "ok")
        if pc == "undo":
            return s, ("withdraw", s.ver, s.rows) if v in births(s.rows) else ("finish", "duplicate")
        if pc == "withdraw":
            s2, ok = commit(s, loc[1], frozenset(r for r in loc[2] if r != (v, v)))
            return s2, ("finish", "duplicate") if ok else ("undo",)
        if pc == "finish":
            return done(s._replace(fin=s.fin | {v}), loc[1])
        if pc == "single":  # behind a tombstone, or between the tiers: it goes the way of create
            s2, inner = create(v)(s, loc[1:])
            return (s2, inner) if inner[0] == "done" else (s2, ("single", *inner))

    return step


def change(v):
    """update(v), or delete when v is None."""

    def write(s, born, replaces=NOTHING):
        replaces -= {born}
        return put_tomb(s, frozenset({born}) | replaces) if v is None else put_doc(s, v, born, replaces)

    def step(s, loc):
        pc = loc[0]
        if pc == "again" and s.hot is None:  # in neither tier, and it did not move between the two looks
            return done(s, False)
        if pc in ("start", "again"):
            if s.hot is None:
                return s, ("table",)
            if isinstance(s.hot, Tomb):
                return s, ("behind", s.hot)
            return s, ("young" if s.hot.value == s.hot.born else "match", s.hot, NOTHING)
        if pc == "young":  # nobody touched it since its creation: did its creator lose a race?
            return s, (
                "match",
                loc[1],
                NOTHING
                if "change of a young record does not look behind it" in BROKEN
                else births(s.rows) - {loc[1].born},
            )
        if pc == "behind":  # a tombstone: is there a row that it does not kill?
            alive = [r for r in s.rows if r[1] not in loc[1].kills]
            return (s, ("over", loc[1], alive[0][1])) if alive else done(s, False)
        if pc == "over":
            return (s, ("start",)) if s.hot != loc[1] else done(write(s, loc[2], loc[1].kills), True)
        if pc == "table":
            return (s, ("fresh", next(iter(s.rows))[1])) if s.rows else (s, ("again",))
        if pc == "fresh":  # packed: PUT If-None-Match, the object shadows the row
            if s.hot is not None:
                return s, ("start",)
            return done(write(s, loc[1]), True)
        if pc == "match":
            return (s, ("start",)) if s.hot != loc[1] else done(write(s, loc[1].born, loc[1].replaces | loc[2]), True)

    return step


def bulk_update(v):
    """batch_update / batch_upsert of records that lie in the table only: a commit, births kept; everything else singly."""

    def step(s, loc):
        pc = loc[0]
        if pc == "start":  # after a conflict, with the rows that it was to replace
            return s, ("object", s.ver, s.rows, *loc[1:])
        if pc == "object":
            finished = births(loc[2]) <= s.fin or "bulk update over an unfinished load" in BROKEN
            again = len(loc) > 3
            if s.hot is None and not loc[2] and not again:
                return s, ("confirm",)
            as_before = not again or births(loc[2]) == births(loc[3])
            if s.hot is None and loc[2] and finished and as_before:
                return s, ("commit", loc[1], loc[2])
            return s, ("single", "start")
        if pc == "confirm":  # in neither tier: it may have moved between the two looks
            return (s, ("single", "start")) if s.rows else done(s, False)
        if pc == "commit":
            born = next(iter(loc[2]))[1]
            s2, ok = commit(s, loc[1], frozenset({(v, born)}), settled={born})
            return done(s2, True) if ok else (s, ("start", loc[2]))
        if pc == "single":
            s2, inner = change(v)(s, loc[1:])
            return (s2, inner) if inner[0] == "done" else (s2, ("single", *inner))

    return step


LIVE_LOADS = set()
"""Births of loads that may still be running: nobody adopts them. Scenarios keep it, as deadlines and clocks do in the code."""


def foreign_behind(seen, rows):
    """The births behind an object that it does not declare dead."""
    return births(rows) - (seen.kills if isinstance(seen, Tomb) else seen.replaces | {seen.born})


def left(seen):
    """What a compaction does about a document with foreign rows behind it, which it does not fold."""
    return ("void", seen) if seen.value == seen.born else ("done", None)


def is_left(seen, rows):
    return isinstance(seen, Doc) and foreign_behind(seen, rows) and "compactor folds over foreign rows" not in BROKEN


def plan(seen, version, rows, settled):
    """`settled`: births of finished loads, whose rows need no tag any more."""
    if not settled and (seen is None or is_left(seen, rows)):
        return left(seen) if seen else ("done", None)
    return "fold", seen, version, rows, settled


def compact(s, loc):
    pc = loc[0]
    if "objects before log when committing" in BROKEN and pc == "start":
        return done(s, None) if s.hot is None else (s, ("late", s.hot))
    if pc == "late":
        return s, ("fold", loc[1], s.ver, s.rows, NOTHING)
    if pc == "start":
        return s, ("object", s.ver, s.rows, s.tags)
    if pc == "object":
        _, version, rows, tags = loc
        if tags and "nobody adopts a dead load" not in BROKEN:
            return s, ("journal", s.hot, version, rows, tags, s.fin)
        return s, plan(s.hot, version, rows, NOTHING)
    if pc == "journal":  # whose load is over, and not finished?
        _, hot, version, rows, tags, before = loc
        dead = tags - (before if "adoption judged by an old journal" in BROKEN else s.fin) - LIVE_LOADS
        return s, ("adopt", min(dead), hot, version, rows) if dead else plan(hot, version, rows, tags & s.fin)
    if pc == "adopt":
        _, born, hot, version, rows = loc
        if foreign_to(born, hot) and "adoption does not look at the object" not in BROKEN:
            return commit(s, version, frozenset(r for r in rows if r != (born, born)))[0], ("start",)
        return s._replace(fin=s.fin | {born}), ("start",)
    if pc == "fold":
        _, seen, version, rows, settled = loc
        if seen is None or is_left(seen, rows):  # only tags are taken off
            s2, ok = commit(s, version, rows, settled)
            return s2, ("start",) if not ok else left(seen) if seen else ("done", None)
        foreign = foreign_behind(seen, rows)
        keep = (
            NOTHING if "compactor folds over foreign rows" in BROKEN else frozenset(r for r in rows if r[1] in foreign)
        )
        new = frozenset({(seen.value, seen.born)}) if isinstance(seen, Doc) else NOTHING
        if keep | new == rows and "compactor skips a commit that changes nothing" in BROKEN:
            return s, ("drop", seen)  # that empty commit is the fence
        s2, ok = commit(s, version, keep | new, settled | births(new))
        if ok and isinstance(seen, Doc):
            s2 = s2._replace(fin=s2.fin | {seen.born})
        return (s2, ("drop", seen)) if ok else (s, ("start",))
    if pc == "void":  # is the foreign row still there, and finished? (a fresh look)
        foreign = (
            (births(s.rows) if "void judged from a stale log" not in BROKEN else s.fin)
            - loc[1].replaces
            - {loc[1].born}
        )
        return (s, ("drop", loc[1])) if foreign and foreign <= s.fin else done(s, None)
    if pc == "drop":
        if "compactor deletes unconditionally" in BROKEN:
            return done(s._replace(hot=None), None)
        return done(delete_if(s, loc[1].etag)[0], None)


# ------------------------------------------------------------------ what is left when all are gone
def run_alone(s, step):
    loc = ("start",)
    while loc[0] != "done":
        s, loc = step(s, loc)
    return s


def come_to_rest(s):
    """What compactions make of a store that nobody else uses."""
    for _ in range(4):
        after = run_alone(s, compact)
        if after == s:
            break
        s = after
    return s
