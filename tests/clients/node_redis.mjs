// The steps of `redis_py.py`, through node-redis.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/package.json`);
const { createClient } = require("redis");
const version = JSON.parse(readFileSync("node_modules/redis/package.json", "utf8")).version;
const port = Number(process.argv[2]);
const connect = () => createClient({ socket: { host: "127.0.0.1", port } }).connect();

const steps = {
  async produce(r) {
    assert.equal(await r.xAdd("orders", "1-1", { item: "tea", price: "3" }), "1-1");
    await Promise.all([...Array(9).keys()].map((n) => r.xAdd("orders", "*", { n: `${n}` })));
    assert.equal(await r.xLen("orders"), 10);
  },
  async read_range(r) {
    const entries = await r.xRange("orders", "-", "+", { COUNT: 2 });
    assert.equal(entries.length, 2);
    assert.deepEqual({ ...entries[0].message }, { item: "tea", price: "3" });
    assert.equal((await r.xRevRange("orders", "+", "(1-1")).length, 9);
    const read = await r.xRead({ key: "orders", id: "1-1" }, { COUNT: 3 });
    assert.match(JSON.stringify(read), /"n"/);
  },
  async group_read(r) {
    assert.equal(await r.xGroupCreate("orders", "kitchen", "0"), "OK");
    const got = await r.xReadGroup("kitchen", "ann", { key: "orders", id: ">" }, { COUNT: 4 });
    assert.match(JSON.stringify(got), /tea/);
    await r.xReadGroup("kitchen", "bob", { key: "orders", id: ">" }, { COUNT: 2 });
  },
  async pending(r) {
    const summary = await r.xPending("orders", "kitchen");
    assert.equal(summary.pending, 6);
    assert.equal(summary.firstId, "1-1");
    const listed = await r.xPendingRange("orders", "kitchen", "-", "+", 10);
    assert.equal(listed.length, 6);
    assert.equal(listed[0].deliveriesCounter, 1);
  },
  async claim(r) {
    const got = await r.xClaim("orders", "kitchen", "bob", 0, "1-1");
    assert.equal(got[0].id, "1-1");
  },
  async auto_claim(r) {
    const got = await r.xAutoClaim("orders", "kitchen", "cleo", 0, "0-0", { COUNT: 3 });
    assert.equal(got.messages.length, 3);
    assert.notEqual(got.nextId, "0-0");
  },
  async acknowledge(r) {
    assert.equal(await r.xAck("orders", "kitchen", ["1-1", "9-9"]), 1);
  },
  async info(r) {
    assert.equal((await r.xInfoStream("orders")).length, 10);
    const groups = await r.xInfoGroups("orders");
    assert.equal(groups[0].pending, 5);
    assert.equal((await r.xInfoConsumers("orders", "kitchen")).length, 3);
  },
  async trim(r) {
    assert.equal(await r.xTrim("orders", "MAXLEN", 6), 4);
  },
  async blocking_read(r) {
    const other = await connect();
    const waiting = r.xRead({ key: "bell", id: "$" }, { BLOCK: 5000 });
    await new Promise((done) => setTimeout(done, 100));
    await other.xAdd("bell", "*", { rings: "1" });
    assert.match(JSON.stringify(await waiting), /rings/);
    await other.close();
  },
  async blocking_group_read(r) {
    const other = await connect();
    await r.xGroupCreate("queue", "workers", "$", { MKSTREAM: true });
    const waiting = r.xReadGroup("workers", "w", { key: "queue", id: ">" }, { BLOCK: 5000 });
    await new Promise((done) => setTimeout(done, 100));
    await other.xAdd("queue", "*", { rings: "1" });
    assert.match(JSON.stringify(await waiting), /rings/);
    await other.close();
  },
  async pipeline(r) {
    const all = await Promise.all(
      [...Array(100).keys()].map((n) => r.xAdd("piped", "*", { n: `${n}` })));
    assert.equal(new Set(all).size, 100);
    assert.equal(await r.xLen("piped"), 100);
  },
  async transaction(r) {
    const replies = await r.multi().xAdd("both", "*", { n: "1" }).xLen("both").exec();
    assert.equal(replies[1], 1);
  },
  async errors(r) {
    await assert.rejects(r.xReadGroup("nobody", "c", { key: "orders", id: ">" }), /NOGROUP/);
    await assert.rejects(r.xAdd("orders", "1-1", { a: "b" }), /equal or smaller/);
  },
};

console.log("version", version);
const r = await connect();
await r.flushAll();
for (const [name, step] of Object.entries(steps)) {
  await step(r);
  console.log("ok", name);
}
await r.close();
