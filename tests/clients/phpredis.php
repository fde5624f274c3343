<?php
require __DIR__ . "/php_steps.php";

$port = (int) $argv[1];
$client = new Redis();
$client->connect("127.0.0.1", $port);
$client->setOption(Redis::OPT_READ_TIMEOUT, 10);
echo "version " . phpversion("redis") . "\n";
$send = function (string ...$args) use ($client) {
    $client->clearLastError();
    $reply = $client->rawCommand(...$args);
    if ($client->getLastError() !== null) {
        throw new Exception($client->getLastError());
    }
    return $reply;
};
$together = function (array $commands, bool $transaction) use ($client) {
    $pipe = $client->multi($transaction ? Redis::MULTI : Redis::PIPELINE);
    foreach ($commands as $command) {
        $pipe->rawCommand(...$command);
    }
    return $pipe->exec();
};
// What phpredis makes of streams itself, beside the raw commands of the steps.
$client->flushAll();
$client->xAdd("typed", "1-1", ["a" => "b"]);
check($client->xRange("typed", "-", "+") === ["1-1" => ["a" => "b"]], "xRange");
check($client->xGroup("CREATE", "typed", "g", "0"), "xGroup");
check($client->xReadGroup("g", "c", ["typed" => ">"], 1) === ["typed" => ["1-1" => ["a" => "b"]]],
    "xReadGroup");
check($client->xAck("typed", "g", ["1-1"]) === 1, "xAck");
steps($port, $send, $together);
