#!/bin/sh
# Runs real Redis clients against `streamlog serve`: each does the same steps, and a table is made
# of what passed. What a client needs is installed below target/clients, or as a Debian package.
#
#   sh tests/clients/run.sh                    those that CI runs
#   sh tests/clients/run.sh --all              all of them; writes tests/clients/RESULTS.md
#   sh tests/clients/run.sh node_redis         some of them
#   sh tests/clients/run.sh --redis redis_cli  against a redis-server, to check the steps themselves
#
# Ends with 1 if a client failed or a step is missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/target/clients
in_ci="redis_py redis_py_asyncio node_redis redis_rs redis_cli"
rest="redis_py_7 ioredis ioredis_5 ruby_redis predis phpredis redigo"
steps="produce read_range group_read pending claim auto_claim acknowledge info trim blocking_read
  blocking_group_read pipeline transaction errors"

clients=""
server=streamlog
table=""
for word in "$@"; do
  case "$word" in
    --all) clients="$in_ci $rest" table=$here/RESULTS.md ;;
    --redis) server=redis ;;
    *) clients="$clients $word" ;;
  esac
done
[ -n "$clients" ] || clients=$in_ci
mkdir -p "$work"

packages() {
  missing=""
  for package in "$@"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
}

python() { # ENVIRONMENT REQUIREMENT
  command -v python3 >/dev/null || packages python3 python3-venv
  [ -x "$work/$1/bin/python" ] || python3 -m venv "$work/$1" 2>/dev/null || {
    packages python3-venv
    python3 -m venv "$work/$1"
  }
  "$work/$1/bin/pip" install --quiet --disable-pip-version-check "$2"
}

node() { # FOLDER PACKAGE
  command -v npm >/dev/null || packages nodejs npm
  mkdir -p "$work/$1"
  (cd "$work/$1" && { [ -e package.json ] || echo '{"private":true}' >package.json; } &&
    npm install --silent --no-audit --no-fund "$2")
}

prepare() {
  case "$1" in
    redis_py | redis_py_asyncio) python redis-py-8 'redis>=8,<9' ;;
    redis_py_7) python redis-py-7 'redis>=7,<8' ;;
    node_redis) node node-redis 'redis@6' ;;
    ioredis) node ioredis-6 'ioredis@6' ;;
    ioredis_5) node ioredis-5 'ioredis@5' ;;
    redis_rs)
      CARGO_TARGET_DIR=$work/redis-rs cargo build --quiet --manifest-path \
        "$here/redis_rs/Cargo.toml" ;;
    redis_cli) packages redis-tools ;;
    ruby_redis) packages ruby ruby-redis ;;
    predis) packages php-cli php-predis redis-tools ;;
    phpredis) packages php-cli php-redis redis-tools ;;
    redigo) packages golang-go golang-github-gomodule-redigo-dev ;;
  esac
}

client() { # NAME PORT
  case "$1" in
    redis_py | redis_py_asyncio) "$work/redis-py-8/bin/python" "$here/$1.py" "$2" ;;
    redis_py_7) "$work/redis-py-7/bin/python" "$here/redis_py.py" "$2" ;;
    node_redis) (cd "$work/node-redis" && command node "$here/node_redis.mjs" "$2") ;;
    ioredis) (cd "$work/ioredis-6" && command node "$here/ioredis.mjs" "$2") ;;
    ioredis_5) (cd "$work/ioredis-5" && command node "$here/ioredis.mjs" "$2") ;;
    redis_rs) "$work/redis-rs/debug/streamlog-clients-redis-rs" "$2" ;;
    redis_cli) sh "$here/redis_cli.sh" "$2" ;;
    ruby_redis) ruby "$here/ruby_redis.rb" "$2" ;;
    predis) php "$here/predis.php" "$2" ;;
    phpredis) php "$here/phpredis.php" "$2" ;;
    redigo)
      version=$(dpkg-query -W -f '${Version}' golang-github-gomodule-redigo-dev)
      GOPATH=/usr/share/gocode GO111MODULE=off GOCACHE=$work/go-build \
        go run "$here/redigo/main.go" "$2" | sed "s/^version .*/version $version/" ;;
  esac
}

# The port is one that the system gave: taken, let go, and used right away.
command -v python3 >/dev/null || packages python3 python3-venv
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
data=$(mktemp -d)
if [ "$server" = redis ]; then
  (cd "$data" && exec redis-server --port "$port" --save "" >"$data/log") &
else
  cargo build --quiet --release --features resp --manifest-path "$root/Cargo.toml"
  "$root/target/release/streamlog" serve "$data/store" --port "$port" >"$data/log" 2>&1 &
fi
serving=$!
trap 'kill $serving 2>/dev/null || true; wait $serving 2>/dev/null || true; rm -rf "$data"' EXIT
tries=0
until grep -q "Ready to accept connections" "$data/log"; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { cat "$data/log"; exit 1; }
  sleep 0.1
done

failed=0
rows=""
for name in $clients; do
  out=$work/$name.txt
  prepare "$name"
  ended=0
  client "$name" "$port" >"$out" 2>&1 || ended=$?
  version=$(sed -n 's/^version //p' "$out" | head -n 1)
  row="| $name | ${version:-?} |"
  missing=""
  for step in $steps; do
    if grep -qx "ok $step" "$out"; then row="$row yes |"; else
      row="$row **no** |"
      missing="$missing $step"
    fi
  done
  rows="$rows$row
"
  if [ "$ended" -ne 0 ] || [ -n "$missing" ]; then
    failed=1
    echo "$name ${version:-?}: FAILED, ended with $ended, without:$missing"
    tail -n 15 "$out"
  else
    echo "$name $version: all steps passed"
  fi
done

if [ -n "$table" ] && [ "$server" = streamlog ]; then
  {
    echo "# Clients that were run against \`streamlog serve\`"
    echo
    echo "Written by \`sh tests/clients/run.sh --all\` on $(date -u +%F); what each step does is in"
    echo "\`redis_py.py\`, and the same in every client's own words. Of Go there is redigo, which is"
    echo "Debian's; Java's clients (Jedis, Lettuce) come from Maven's repository alone, which was not"
    echo "within reach where this was run, so none of them is here."
    echo
    # shellcheck disable=SC2086
    printf '| client | version |' && printf ' %s |' $steps && echo
    # shellcheck disable=SC2086
    printf '|---|---|' && printf -- '---|%.0s' $steps && echo
    printf '%s' "$rows"
  } >"$table"
fi
exit $failed
