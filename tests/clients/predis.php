<?php
require "/usr/share/php/Predis/Autoloader.php";
require __DIR__ . "/php_steps.php";
Predis\Autoloader::register();

$port = (int) $argv[1];
$client = new Predis\Client(
    ["host" => "127.0.0.1", "port" => $port, "read_write_timeout" => 10]);
echo "version " . Predis\Client::VERSION . "\n";
$send = function (string ...$args) use ($client) {
    $error = false;
    $reply = $client->executeRaw($args, $error);
    if ($error) {
        throw new Exception($reply);
    }
    return $reply;
};
$together = function (array $commands, bool $transaction) use ($client) {
    // Predis of that version knows no stream commands, so raw ones go through its pipeline.
    $pipe = $client->pipeline();
    if ($transaction) {
        $pipe->executeCommand(new Predis\Command\RawCommand(["MULTI"]));
    }
    foreach ($commands as $command) {
        $pipe->executeCommand(new Predis\Command\RawCommand($command));
    }
    if ($transaction) {
        $pipe->executeCommand(new Predis\Command\RawCommand(["EXEC"]));
    }
    $replies = $pipe->execute();
    return $transaction ? end($replies) : $replies;
};
steps($port, $send, $together);
