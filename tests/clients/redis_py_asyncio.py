"""The steps of `redis_py.py`, through redis-py's asyncio client."""

import asyncio
import sys

import redis
import redis.asyncio


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def connect(port):
    return redis.asyncio.Redis(host="127.0.0.1", port=port, decode_responses=True)


async def produce(r, _port):
    check(await r.xadd("orders", {"item": "tea", "price": "3"}, id="1-1") == "1-1", "XADD")
    await asyncio.gather(*(r.xadd("orders", {"n": n}) for n in range(9)))
    check(await r.xlen("orders") == 10, "XLEN")


async def read_range(r, _port):
    entries = await r.xrange("orders", count=2)
    check(entries[0] == ("1-1", {"item": "tea", "price": "3"}) and len(entries) == 2, entries)
    check(len(await r.xrevrange("orders", "+", "(1-1")) == 9, "XREVRANGE")


async def group_read(r, _port):
    check(await r.xgroup_create("orders", "kitchen", id="0"), "XGROUP CREATE")
    got = await r.xreadgroup("kitchen", "ann", {"orders": ">"}, count=4)
    check("tea" in str(got), got)
    await r.xreadgroup("kitchen", "bob", {"orders": ">"}, count=2)


async def pending(r, _port):
    summary = await r.xpending("orders", "kitchen")
    check(summary["pending"] == 6 and summary["min"] == "1-1", summary)
    check(len(await r.xpending_range("orders", "kitchen", "-", "+", 10)) == 6, "XPENDING")


async def claim(r, _port):
    got = await r.xclaim("orders", "kitchen", "bob", 0, ["1-1"])
    check(got[0][0] == "1-1", got)


async def auto_claim(r, _port):
    cursor, entries, _deleted = await r.xautoclaim("orders", "kitchen", "cleo", 0, count=3)
    check(len(entries) == 3 and cursor != "0-0", entries)


async def acknowledge(r, _port):
    check(await r.xack("orders", "kitchen", "1-1", "9-9") == 1, "XACK")


async def info(r, _port):
    check((await r.xinfo_stream("orders"))["length"] == 10, "XINFO STREAM")
    check((await r.xinfo_groups("orders"))[0]["pending"] == 5, "XINFO GROUPS")
    check(len(await r.xinfo_consumers("orders", "kitchen")) == 3, "XINFO CONSUMERS")


async def trim(r, _port):
    check(await r.xtrim("orders", maxlen=6, approximate=False) == 4, "XTRIM")


async def ring(port, key):
    other = connect(port)
    await asyncio.sleep(0.1)
    await other.xadd(key, {"rings": "1"})
    await other.aclose()


async def blocking_read(r, port):
    got, _none = await asyncio.gather(r.xread({"bell": "$"}, block=5000), ring(port, "bell"))
    check("rings" in str(got), got)


async def blocking_group_read(r, port):
    await r.xgroup_create("queue", "workers", id="$", mkstream=True)
    got, _none = await asyncio.gather(
        r.xreadgroup("workers", "w", {"queue": ">"}, block=5000), ring(port, "queue"))
    check("rings" in str(got), got)


async def pipeline(r, _port):
    async with r.pipeline(transaction=False) as pipe:
        for n in range(100):
            pipe.xadd("piped", {"n": n})
        pipe.xlen("piped")
        check((await pipe.execute())[-1] == 100, "pipeline")


async def transaction(r, _port):
    async with r.pipeline(transaction=True) as pipe:
        pipe.xadd("both", {"n": 1})
        pipe.xlen("both")
        check((await pipe.execute())[-1] == 1, "MULTI and EXEC")


async def errors(r, _port):
    try:
        await r.xreadgroup("nobody", "c", {"orders": ">"})
    except redis.ResponseError as error:
        check("NOGROUP" in str(error), error)
    else:
        raise AssertionError("no error for a group that is not there")


STEPS = [produce, read_range, group_read, pending, claim, auto_claim, acknowledge, info, trim,
         blocking_read, blocking_group_read, pipeline, transaction, errors]


async def main():
    port = int(sys.argv[1])
    print("version", redis.__version__)
    r = connect(port)
    await r.flushall()
    for step in STEPS:
        await step(r, port)
        print("ok", step.__name__, flush=True)
    await r.aclose()


asyncio.run(main())
