// The steps of `redis_py.py`, through ioredis, whose replies are as they come over the wire.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/package.json`);
const loaded = require("ioredis");
const Redis = loaded.Redis ?? loaded.default ?? loaded;
const version = JSON.parse(readFileSync("node_modules/ioredis/package.json", "utf8")).version;
const port = Number(process.argv[2]);
const connect = () => new Redis({ host: "127.0.0.1", port, maxRetriesPerRequest: 1 });
const text = (reply) => JSON.stringify(reply);

const steps = {
  async produce(r) {
    assert.equal(await r.xadd("orders", "1-1", "item", "tea", "price", "3"), "1-1");
    for (let n = 0; n < 9; n += 1) await r.xadd("orders", "*", "n", n);
    assert.equal(await r.xlen("orders"), 10);
  },
  async read_range(r) {
    const entries = await r.xrange("orders", "-", "+", "COUNT", 2);
    assert.deepEqual(entries[0], ["1-1", ["item", "tea", "price", "3"]]);
    assert.equal((await r.xrevrange("orders", "+", "(1-1")).length, 9);
  },
  async group_read(r) {
    assert.equal(await r.xgroup("CREATE", "orders", "kitchen", "0"), "OK");
    const got = await r.xreadgroup(
      "GROUP", "kitchen", "ann", "COUNT", 4, "STREAMS", "orders", ">");
    assert.match(text(got), /tea/);
    await r.xreadgroup("GROUP", "kitchen", "bob", "COUNT", 2, "STREAMS", "orders", ">");
  },
  async pending(r) {
    const summary = await r.xpending("orders", "kitchen");
    assert.equal(summary[0], 6);
    assert.equal(summary[1], "1-1");
    assert.equal((await r.xpending("orders", "kitchen", "-", "+", 10)).length, 6);
  },
  async claim(r) {
    const got = await r.xclaim("orders", "kitchen", "bob", 0, "1-1");
    assert.deepEqual(got, [["1-1", ["item", "tea", "price", "3"]]]);
  },
  async auto_claim(r) {
    const got = await r.xautoclaim("orders", "kitchen", "cleo", 0, "0-0", "COUNT", 3);
    assert.equal(got[1].length, 3);
    assert.deepEqual(got[2], []);
  },
  async acknowledge(r) {
    assert.equal(await r.xack("orders", "kitchen", "1-1", "9-9"), 1);
  },
  async info(r) {
    assert.match(text(await r.xinfo("STREAM", "orders")), /"length",10|"length":10/);
    assert.match(text(await r.xinfo("GROUPS", "orders")), /kitchen/);
    assert.equal((await r.xinfo("CONSUMERS", "orders", "kitchen")).length, 3);
  },
  async trim(r) {
    assert.equal(await r.xtrim("orders", "MAXLEN", 6), 4);
  },
  async blocking_read(r) {
    const other = connect();
    const waiting = r.xread("BLOCK", 5000, "STREAMS", "bell", "$");
    await new Promise((done) => setTimeout(done, 100));
    await other.xadd("bell", "*", "rings", "1");
    assert.match(text(await waiting), /rings/);
    await other.quit();
  },
  async blocking_group_read(r) {
    const other = connect();
    await r.xgroup("CREATE", "queue", "workers", "$", "MKSTREAM");
    const waiting = r.xreadgroup(
      "GROUP", "workers", "w", "BLOCK", 5000, "STREAMS", "queue", ">");
    await new Promise((done) => setTimeout(done, 100));
    await other.xadd("queue", "*", "rings", "1");
    assert.match(text(await waiting), /rings/);
    await other.quit();
  },
  async pipeline(r) {
    const pipe = r.pipeline();
    for (let n = 0; n < 100; n += 1) pipe.xadd("piped", "*", "n", n);
    pipe.xlen("piped");
    const replies = await pipe.exec();
    assert.deepEqual(replies.at(-1), [null, 100]);
  },
  async transaction(r) {
    const replies = await r.multi().xadd("both", "*", "n", "1").xlen("both").exec();
    assert.deepEqual(replies.at(-1), [null, 1]);
  },
  async errors(r) {
    await assert.rejects(
      r.xreadgroup("GROUP", "nobody", "c", "STREAMS", "orders", ">"), /NOGROUP/);
  },
};

console.log("version", version);
const r = connect();
await r.flushall();
for (const [name, step] of Object.entries(steps)) {
  await step(r);
  console.log("ok", name);
}
await r.quit();
