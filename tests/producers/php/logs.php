<?php
// What PHP logs by itself, with an uncaught exception that has a cause.
error_log('listening');
echo $undefined;

function find(int $id): never
{
    throw new OutOfBoundsException("no such cart: $id");
}

try {
    find(7);
} catch (OutOfBoundsException $error) {
    error_log('request failed');
    throw new RuntimeException('giving up', 1, $error);
}
