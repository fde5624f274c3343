<?php
// The steps of `redis_py.py` for PHP's two clients, over a function that sends any command.
function check(bool $condition, string $what): void
{
    if (!$condition) {
        throw new Exception($what);
    }
}

/** Appends to `$key` from another process, in a moment. */
function later(int $port, string $key): void
{
    $rings = "sleep 0.1; redis-cli -p $port XADD $key '*' rings 1 >/dev/null";
    exec("sh -c " . escapeshellarg($rings) . " >/dev/null 2>&1 &");
}

/**
 * @param callable(string ...): mixed $send a command and its arguments
 * @param callable(array<int, array<int, string>>, bool): array<int, mixed> $together commands in
 *     one pipeline, or in one transaction
 */
function steps(int $port, callable $send, callable $together): void
{
    $text = fn ($reply) => json_encode($reply);
    $send("FLUSHALL");

    check($send("XADD", "orders", "1-1", "item", "tea", "price", "3") === "1-1", "XADD");
    for ($n = 0; $n < 9; $n++) {
        $send("XADD", "orders", "*", "n", (string) $n);
    }
    check($send("XLEN", "orders") === 10, "XLEN");
    echo "ok produce\n";

    $entries = $send("XRANGE", "orders", "-", "+", "COUNT", "2");
    check(count($entries) === 2 && str_contains($text($entries), "tea"), "XRANGE");
    check(count($send("XREVRANGE", "orders", "+", "(1-1")) === 9, "XREVRANGE");
    echo "ok read_range\n";

    $send("XGROUP", "CREATE", "orders", "kitchen", "0");
    $got = $send("XREADGROUP", "GROUP", "kitchen", "ann", "COUNT", "4", "STREAMS", "orders", ">");
    check(str_contains($text($got), "tea"), "XREADGROUP");
    $send("XREADGROUP", "GROUP", "kitchen", "bob", "COUNT", "2", "STREAMS", "orders", ">");
    echo "ok group_read\n";

    $summary = $send("XPENDING", "orders", "kitchen");
    check($summary[0] === 6 && $summary[1] === "1-1", "XPENDING");
    echo "ok pending\n";

    check(str_contains($text($send("XCLAIM", "orders", "kitchen", "bob", "0", "1-1")), "tea"),
        "XCLAIM");
    echo "ok claim\n";

    $got = $send("XAUTOCLAIM", "orders", "kitchen", "cleo", "0", "0-0", "COUNT", "3");
    check(count($got[1]) === 3, "XAUTOCLAIM");
    echo "ok auto_claim\n";

    check($send("XACK", "orders", "kitchen", "1-1", "9-9") === 1, "XACK");
    echo "ok acknowledge\n";

    check(str_contains($text($send("XINFO", "STREAM", "orders")), "length"), "XINFO STREAM");
    check(str_contains($text($send("XINFO", "GROUPS", "orders")), "kitchen"), "XINFO GROUPS");
    echo "ok info\n";

    check($send("XTRIM", "orders", "MAXLEN", "6") === 4, "XTRIM");
    echo "ok trim\n";

    later($port, "bell");
    $got = $send("XREAD", "BLOCK", "5000", "STREAMS", "bell", "$");
    check(str_contains($text($got), "rings"), "XREAD BLOCK");
    echo "ok blocking_read\n";

    $send("XGROUP", "CREATE", "queue", "workers", "$", "MKSTREAM");
    later($port, "queue");
    $got = $send("XREADGROUP", "GROUP", "workers", "w", "BLOCK", "5000", "STREAMS", "queue", ">");
    check(str_contains($text($got), "rings"), "XREADGROUP BLOCK");
    echo "ok blocking_group_read\n";

    $many = [];
    for ($n = 0; $n < 100; $n++) {
        $many[] = ["XADD", "piped", "*", "n", (string) $n];
    }
    $many[] = ["XLEN", "piped"];
    $replies = $together($many, false);
    check(end($replies) === 100, "pipeline");
    echo "ok pipeline\n";

    $replies = $together([["XADD", "both", "*", "n", "1"], ["XLEN", "both"]], true);
    check(end($replies) === 1, "MULTI and EXEC");
    echo "ok transaction\n";

    $message = "";
    try {
        $reply = $send("XREADGROUP", "GROUP", "nobody", "c", "STREAMS", "orders", ">");
    } catch (Exception $e) {
        $message = $e->getMessage();
    }
    check(str_contains($message, "NOGROUP"), "the error: $message");
    echo "ok errors\n";
}
