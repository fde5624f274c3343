# The steps of `redis_py.py`, through redis-cli, one call a command, and a pipe for the pipeline.
set -eu
port=$1
cli() { redis-cli -p "$port" "$@"; }
is() { # WHAT WANTED GOT
  if [ "$2" != "$3" ]; then
    printf 'failed: %s: wanted <%s>, got <%s>\n' "$1" "$2" "$3"
    exit 1
  fi
}
has() { # WHAT PART WHOLE
  case "$3" in
    *"$2"*) ;;
    *)
      printf 'failed: %s: <%s> is not in <%s>\n' "$1" "$2" "$3"
      exit 1
      ;;
  esac
}
echo "version $(redis-cli --version | cut -d' ' -f2)"
cli FLUSHALL >/dev/null

is XADD 1-1 "$(cli XADD orders 1-1 item tea price 3)"
for n in 1 2 3 4 5 6 7 8 9; do cli XADD orders '*' n "$n" >/dev/null; done
is XLEN 10 "$(cli XLEN orders)"
echo "ok produce"

is XRANGE "1-1 item tea price 3" "$(cli XRANGE orders - + COUNT 1 | tr '\n' ' ' | sed 's/ $//')"
has XREVRANGE "n 9" "$(cli XREVRANGE orders + - COUNT 1 | tr '\n' ' ')"
has "XREAD in RESP3" "orders" "$(cli -3 XREAD COUNT 1 STREAMS orders 0)"
echo "ok read_range"

is "XGROUP CREATE" OK "$(cli XGROUP CREATE orders kitchen 0)"
has XREADGROUP tea "$(cli XREADGROUP GROUP kitchen ann COUNT 4 STREAMS orders '>')"
has XREADGROUP "n" "$(cli XREADGROUP GROUP kitchen bob COUNT 2 STREAMS orders '>')"
echo "ok group_read"

is XPENDING 6 "$(cli XPENDING orders kitchen | head -n 1)"
has "XPENDING of one" "1-1" "$(cli XPENDING orders kitchen - + 10 ann)"
echo "ok pending"

has XCLAIM tea "$(cli XCLAIM orders kitchen bob 0 1-1)"
echo "ok claim"

has XAUTOCLAIM 1-1 "$(cli XAUTOCLAIM orders kitchen cleo 0 0 COUNT 3 JUSTID)"
echo "ok auto_claim"

is XACK 1 "$(cli XACK orders kitchen 1-1 9-9)"
echo "ok acknowledge"

has "XINFO STREAM" "length" "$(cli XINFO STREAM orders)"
has "XINFO GROUPS" "kitchen" "$(cli -3 XINFO GROUPS orders)"
has "XINFO CONSUMERS" "cleo" "$(cli XINFO CONSUMERS orders kitchen)"
echo "ok info"

is XTRIM 4 "$(cli XTRIM orders MAXLEN 6)"
echo "ok trim"

(sleep 0.1 && cli XADD bell '*' rings 1 >/dev/null) &
has "XREAD BLOCK" rings "$(cli XREAD BLOCK 5000 STREAMS bell '$')"
wait
echo "ok blocking_read"

cli XGROUP CREATE queue workers '$' MKSTREAM >/dev/null
(sleep 0.1 && cli XADD queue '*' rings 1 >/dev/null) &
has "XREADGROUP BLOCK" rings "$(cli XREADGROUP GROUP workers w BLOCK 5000 STREAMS queue '>')"
wait
echo "ok blocking_group_read"

seq 1 100 | sed 's/.*/XADD piped * n &/' | redis-cli -p "$port" --pipe >/dev/null
is "--pipe" 100 "$(cli XLEN piped)"
echo "ok pipeline"

# shellcheck disable=SC2016
has "MULTI and EXEC" "1" "$(printf 'MULTI\nXADD both * n 1\nXLEN both\nEXEC\n' |
  redis-cli -p "$port" | tail -n 1)"
echo "ok transaction"

has NOGROUP NOGROUP "$(cli XREADGROUP GROUP nobody c STREAMS orders '>' 2>&1)"
echo "ok errors"
