"""What a program does with streams, through redis-py; prints a line for each step that passed.

The steps have the same names for every client; `run.sh` makes a table of them.
"""

import sys
import threading
import time

import redis


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def connect(port):
    return redis.Redis(host="127.0.0.1", port=port, decode_responses=True)


def produce(r, _port):
    first = r.xadd("orders", {"item": "tea", "price": "3"}, id="1-1")
    check(first == "1-1", first)
    own = r.xadd("orders", {"item": "milk"})
    check(own > "1-1", own)
    check(r.xadd("nothing", {"a": "b"}, nomkstream=True) is None, "NOMKSTREAM")
    for n in range(8):
        r.xadd("orders", {"n": n})
    check(r.xlen("orders") == 10, r.xlen("orders"))


def read_range(r, _port):
    entries = r.xrange("orders", "-", "+", count=2)
    check(entries[0] == ("1-1", {"item": "tea", "price": "3"}), entries)
    check(len(entries) == 2, entries)
    back = r.xrevrange("orders", count=1)
    check(back[0][1] == {"n": "7"}, back)
    check(len(r.xrange("orders", "(1-1", "+")) == 9, "an exclusive range")
    read = r.xread({"orders": "1-1"}, count=3)
    batch = read["orders"] if isinstance(read, dict) else read[0][1]
    batch = batch[0] if isinstance(read, dict) and isinstance(batch[0], list) else batch
    check(len(batch) == 3, read)


def group_read(r, _port):
    check(r.xgroup_create("orders", "kitchen", id="0"), "XGROUP CREATE")
    got = r.xreadgroup("kitchen", "ann", {"orders": ">"}, count=4)
    batch = got["orders"] if isinstance(got, dict) else got[0][1]
    batch = batch[0] if isinstance(got, dict) and isinstance(batch[0], list) else batch
    check([fields for _id, fields in batch][0] == {"item": "tea", "price": "3"}, got)
    check(len(batch) == 4, got)
    r.xreadgroup("kitchen", "bob", {"orders": ">"}, count=2)


def pending(r, _port):
    summary = r.xpending("orders", "kitchen")
    check(summary["pending"] == 6, summary)
    check({c["name"]: int(c["pending"]) for c in summary["consumers"]} == {"ann": 4, "bob": 2},
          summary)
    listed = r.xpending_range("orders", "kitchen", "-", "+", 10, consumername="ann")
    check(len(listed) == 4 and listed[0]["message_id"] == "1-1", listed)
    check(listed[0]["times_delivered"] == 1, listed)


def claim(r, _port):
    got = r.xclaim("orders", "kitchen", "bob", 0, ["1-1"])
    check(got == [("1-1", {"item": "tea", "price": "3"})], got)
    ids = r.xclaim("orders", "kitchen", "bob", 0, ["1-1"], justid=True)
    check(ids == ["1-1"], ids)


def auto_claim(r, _port):
    cursor, entries, deleted = r.xautoclaim("orders", "kitchen", "cleo", 0, "0-0", count=3)
    check(len(entries) == 3 and deleted == [], entries)
    check(cursor != "0-0", cursor)
    rest = r.xautoclaim("orders", "kitchen", "cleo", 0, cursor)
    check(rest[0] == "0-0" and len(rest[1]) == 3, rest)


def acknowledge(r, _port):
    check(r.xack("orders", "kitchen", "1-1", "9-9") == 1, "XACK")
    check(r.xpending("orders", "kitchen")["pending"] == 5, "pending behind XACK")


def info(r, _port):
    stream = r.xinfo_stream("orders")
    check(stream["length"] == 10 and stream["groups"] == 1, stream)
    check(stream["first-entry"][0] == "1-1", stream)
    groups = r.xinfo_groups("orders")
    check(groups[0]["name"] == "kitchen" and groups[0]["lag"] == 4, groups)
    consumers = {c["name"]: c["pending"] for c in r.xinfo_consumers("orders", "kitchen")}
    check(consumers == {"ann": 0, "bob": 0, "cleo": 5}, consumers)


def trim(r, _port):
    check(r.xtrim("orders", maxlen=6, approximate=False) == 4, "XTRIM")
    last = r.xrevrange("orders", count=1)[0][0]
    check(r.xdel("orders", last) == 1, "XDEL")
    check(r.xlen("orders") == 5, "XLEN")


def later(port, work):
    def run():
        time.sleep(0.1)
        work(connect(port))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def blocking_read(r, port):
    thread = later(port, lambda other: other.xadd("bell", {"rings": "1"}))
    got = r.xread({"bell": "$"}, block=5000)
    thread.join()
    check(got and "rings" in str(got), got)
    check(not r.xread({"bell": "$"}, block=20), "a limit of time")


def blocking_group_read(r, port):
    r.xgroup_create("queue", "workers", id="$", mkstream=True)
    thread = later(port, lambda other: other.xadd("queue", {"job": "1"}))
    got = r.xreadgroup("workers", "w", {"queue": ">"}, block=5000)
    thread.join()
    check(got and "job" in str(got), got)


def pipeline(r, _port):
    pipe = r.pipeline(transaction=False)
    for n in range(100):
        pipe.xadd("piped", {"n": n})
    pipe.xlen("piped")
    check(pipe.execute()[-1] == 100, "pipeline")


def transaction(r, _port):
    pipe = r.pipeline(transaction=True)
    pipe.xadd("both", {"n": 1})
    pipe.xadd("both", {"n": 2})
    pipe.xlen("both")
    check(pipe.execute()[-1] == 2, "MULTI and EXEC")


def errors(r, _port):
    try:
        r.xreadgroup("nobody", "c", {"orders": ">"})
    except redis.ResponseError as error:
        check("NOGROUP" in str(error), error)
    else:
        raise AssertionError("no error for a group that is not there")
    try:
        r.xadd("orders", {"a": "b"}, id="1-1")
    except redis.ResponseError as error:
        check("equal or smaller" in str(error), error)
    else:
        raise AssertionError("no error for an ID that is too small")


STEPS = [produce, read_range, group_read, pending, claim, auto_claim, acknowledge, info, trim,
         blocking_read, blocking_group_read, pipeline, transaction, errors]


def main():
    port = int(sys.argv[1])
    print("version", redis.__version__)
    r = connect(port)
    r.flushall()
    for step in STEPS:
        step(r, port)
        print("ok", step.__name__, flush=True)


main()
