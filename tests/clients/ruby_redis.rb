# The steps of `redis_py.py`, through Ruby's redis.
require "redis"

PORT = Integer(ARGV[0])

def check(condition, what)
  raise what.to_s unless condition
end

def connect
  Redis.new(host: "127.0.0.1", port: PORT)
end

def later
  Thread.new do
    sleep 0.1
    other = connect
    yield other
    other.close
  end
end

STEPS = {
  produce: lambda do |r|
    check(r.xadd("orders", { item: "tea", price: "3" }, id: "1-1") == "1-1", "XADD")
    9.times { |n| r.xadd("orders", { n: n }) }
    check(r.xlen("orders") == 10, "XLEN")
  end,
  read_range: lambda do |r|
    entries = r.xrange("orders", count: 2)
    check(entries == [["1-1", { "item" => "tea", "price" => "3" }], entries[1]], entries)
    check(r.xrevrange("orders", "+", "1-2").size == 9, "XREVRANGE")
    check(r.xread("orders", "1-1", count: 3)["orders"].size == 3, "XREAD")
  end,
  group_read: lambda do |r|
    check(r.xgroup(:create, "orders", "kitchen", "0") == "OK", "XGROUP CREATE")
    got = r.xreadgroup("kitchen", "ann", "orders", ">", count: 4)
    check(got["orders"].size == 4, got)
    r.xreadgroup("kitchen", "bob", "orders", ">", count: 2)
  end,
  pending: lambda do |r|
    summary = r.xpending("orders", "kitchen")
    check(summary["size"] == 6 && summary["min_entry_id"] == "1-1", summary)
    check(r.xpending("orders", "kitchen", "-", "+", 10).size == 6, "XPENDING")
  end,
  claim: lambda do |r|
    got = r.xclaim("orders", "kitchen", "bob", 0, "1-1")
    check(got == [["1-1", { "item" => "tea", "price" => "3" }]], got)
  end,
  auto_claim: lambda do |r|
    got = r.xautoclaim("orders", "kitchen", "cleo", 0, "0-0", count: 3)
    check(got["entries"].size == 3, got)
  end,
  acknowledge: ->(r) { check(r.xack("orders", "kitchen", "1-1", "9-9") == 1, "XACK") },
  info: lambda do |r|
    check(r.xinfo(:stream, "orders")["length"] == 10, "XINFO STREAM")
    check(r.xinfo(:groups, "orders")[0]["pending"] == 5, "XINFO GROUPS")
    check(r.xinfo(:consumers, "orders", "kitchen").size == 3, "XINFO CONSUMERS")
  end,
  trim: ->(r) { check(r.xtrim("orders", 6) == 4, "XTRIM") },
  blocking_read: lambda do |r|
    thread = later { |other| other.xadd("bell", { rings: 1 }) }
    got = r.xread("bell", "$", block: 5000)
    thread.join
    check(got["bell"].size == 1, got)
  end,
  blocking_group_read: lambda do |r|
    r.xgroup(:create, "queue", "workers", "$", mkstream: true)
    thread = later { |other| other.xadd("queue", { rings: 1 }) }
    got = r.xreadgroup("workers", "w", "queue", ">", block: 5000)
    thread.join
    check(got["queue"].size == 1, got)
  end,
  pipeline: lambda do |r|
    replies = r.pipelined do |pipe|
      100.times { |n| pipe.xadd("piped", { n: n }) }
      pipe.xlen("piped")
    end
    check(replies.last == 100, replies.last)
  end,
  transaction: lambda do |r|
    replies = r.multi do |all|
      all.xadd("both", { n: 1 })
      all.xlen("both")
    end
    check(replies.last == 1, replies)
  end,
  errors: lambda do |r|
    r.xreadgroup("nobody", "c", "orders", ">")
    raise "no error for a group that is not there"
  rescue Redis::CommandError => e
    check(e.message.include?("NOGROUP"), e.message)
  end
}.freeze

puts "version #{Redis::VERSION}"
r = connect
r.flushall
STEPS.each do |name, step|
  step.call(r)
  puts "ok #{name}"
end
