#!/usr/bin/env bash
# Runs programs that log, and keeps what they wrote below agent/tests/fixtures/producers, for the tests in
# agent/src/receivers/filelog/lines/tests/producers.rs.
#
#     tests/producers/regenerate.sh [name...]      names: see `all` below
#
# Needs node, python3, go, cargo, java with maven, PostgreSQL 15, curl and Debian's apt-get, whose packages of nginx, Ruby,
# PHP and rsyslog are unpacked without being installed. Host names and paths of the machine are replaced. Afterwards run
# the tests with INSTA_UPDATE=always and look at what changed in the snapshots.
set -euo pipefail

all=(pino winston bunyan console next python zap slog klog tracing logback log4j2 nginx postgres ruby php syslog container)
here=$(cd "$(dirname "$0")" && pwd)
fixtures=$here/../../agent/tests/fixtures/producers
work=${VERVET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vervet}/producers
mkdir -p "$work" "$fixtures"

# Keeps standard input as the fixture $1.
keep() {
    sed -e "s#$work#/app#g" -e "s#$here#/app#g" -e "s/\b$(hostname)\b/host-1/g" >"$fixtures/$1.txt"
    echo "$1: $(wc -l <"$fixtures/$1.txt") lines"
}

# A fresh copy of the program $1 to work in; what was installed into it before stays.
enter() {
    mkdir -p "$work/$1"
    cp -r "$here/$1/." "$work/$1/"
    cd "$work/$1"
}

# Debian packages, unpacked below $work/debian.
debian() {
    mkdir -p "$work/debian"
    cd "$work/debian"
    for package in "$@"; do
        compgen -G "$package"_* >/dev/null || { apt-get download -qq "$package" 2>apt.txt && dpkg -x "$package"_*.deb root; }
    done
}

node_records() {
    enter node
    npm ci --silent
    { node "$1.js" || true; } 2>&1 | keep "$1"
}
pino() { node_records pino; }
winston() { node_records winston; }
bunyan() { node_records bunyan; }
console() { node_records console; }

next() {
    enter next
    npm ci --silent
    export NEXT_TELEMETRY_DISABLED=1
    npx next build >build.txt 2>&1
    # Not through a pipe, as in a container: everything into one file.
    node_modules/.bin/next start --hostname 127.0.0.1 --port 18081 >next.txt 2>&1 &
    local server=$!
    curl -s --retry 30 --retry-connrefused --retry-delay 1 -o page.html http://127.0.0.1:18081/
    curl -s -o page.html http://127.0.0.1:18081/broken
    kill $server
    wait $server || true
    keep next <next.txt
}

python() {
    enter python
    python3 -m venv venv
    venv/bin/pip install --quiet -r requirements.txt
    { venv/bin/python logs.py || true; } | keep python
}

go_records() {
    enter go
    go build -o "$1.bin" "./$1"
    { "./$1.bin" || true; } 2>&1 | keep "$1"
}
zap() { go_records zap; }
slog() { go_records slog; }
klog() { go_records klog; }

tracing() {
    enter rust
    CARGO_TARGET_DIR=$work/rust/target cargo build --quiet
    { RUST_BACKTRACE=0 target/debug/producers-rust || true; } 2>&1 | keep tracing
}

java_records() {
    enter java
    mvn -q -B package dependency:build-classpath -Dmdep.outputFile=classpath.txt >maven.txt
    { java -cp "target/classes:$(cat classpath.txt)" "shop.$1" || true; } 2>&1 | keep "$2"
}
logback() { java_records Logback logback; }
log4j2() { java_records Log4j log4j2; }

nginx() {
    debian nginx
    enter nginx
    rm -f ./*.log
    mkdir -p html
    echo ok >html/index.html
    "$work/debian/root/usr/sbin/nginx" -p "$PWD" -c nginx.conf 2>/dev/null
    local at=http://127.0.0.1:18080
    curl -s -o page.html -u ann:x "$at/"
    curl -s -o page.html -A 'agent "x" 1.0' -e https://from.example/ "$at/missing?a=1&b=2"
    curl -s -o page.html "$at/gone"
    curl -s -o page.html "$at/upstream/cart"
    # What is no HTTP at all.
    (exec 3<>/dev/tcp/127.0.0.1/18080 && printf '\x16\x03\x01 \xe9\n\n' >&3 && cat <&3 >page.html)
    for _ in $(seq 100); do [ "$(wc -l <common.log)" = 5 ] && break || sleep 0.1; done
    kill -QUIT "$(cat nginx.pid)"
    keep nginx-access <access.log
    keep nginx-common <common.log
    grep -v 'OS: ' error.log | keep nginx-error
}

postgres() {
    enter postgres
    rm -rf data && mkdir data
    chmod a+rx "$work" && chmod a+rwx . && chown nobody data
    local tools as_user='setpriv --reuid nobody --clear-groups'
    tools=$(dirname "$(ls /usr/lib/postgresql/*/bin/initdb | tail -1)")
    $as_user "$tools/initdb" -D data -A trust -U shop >initdb.txt
    cat >>data/postgresql.conf <<'SETTINGS'
# As Debian has it.
log_line_prefix = '%m [%p] %q%u@%d '
log_timezone = 'UTC'
listen_addresses = ''
unix_socket_directories = '.'
SETTINGS
    $as_user "$tools/pg_ctl" -D data -l data/postgres.txt -w start >pg_ctl.txt
    "$tools/psql" -q -h "$PWD/data" -U shop -d postgres -f statements.sql >psql.txt 2>&1 || true
    "$tools/psql" -q -h "$PWD/data" -U shop -d nowhere -c 'SELECT 1' >psql.txt 2>&1 || true
    $as_user "$tools/pg_ctl" -D data -w -m fast stop >pg_ctl.txt
    grep -v ' starting PostgreSQL ' data/postgres.txt | keep postgres
}

ruby() {
    debian ruby3.1 libruby3.1
    enter ruby
    local root=$work/debian/root/usr/lib
    {
        LD_LIBRARY_PATH=$root/x86_64-linux-gnu RUBYLIB=$root/ruby/3.1.0:$root/x86_64-linux-gnu/ruby/3.1.0 \
            "$work/debian/root/usr/bin/ruby3.1" --disable=gems logs.rb || true
    } | keep ruby
}

php() {
    debian php8.2-cli
    enter php
    rm -f php.txt
    "$work/debian/root/usr/bin/php8.2" -n -d log_errors=1 -d display_errors=0 -d date.timezone=UTC \
        -d error_log=php.txt "$PWD/logs.php" || true
    keep php <php.txt
}

# What rsyslog writes of messages that util-linux's logger sends.
syslog() {
    debian rsyslog libestr0 libfastjson4
    enter syslog
    rm -f ./*.log rsyslog.pid
    sed -i "s#@here@#$PWD#" rsyslog.conf
    local root=$work/debian/root lines
    LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu "$root/usr/sbin/rsyslogd" -n -i "$PWD/rsyslog.pid" -f "$PWD/rsyslog.conf" \
        -M "$root/usr/lib/x86_64-linux-gnu/rsyslog" &
    local server=$!
    for _ in $(seq 100); do [ -S log.socket ] && break || sleep 0.1; done
    logger --socket "$PWD/log.socket" --rfc5424 -p local4.warning -t shop --id=71 --msgid ID7 \
        --sd-id 'origin@32473' --sd-param 'ip="192.0.2.1"' 'slow query'
    logger --socket "$PWD/log.socket" -p auth.err -t sshd --id=72 'error: connection closed'
    logger --socket "$PWD/log.socket" -p user.crit -t kernel 'out of memory'
    for _ in $(seq 100); do
        lines=$(wc -l <protocol.log)
        [ "$lines" = 3 ] && break || sleep 0.1
    done
    kill $server
    wait $server || true
    keep syslog-traditional <traditional.log
    keep syslog-dated <dated.log
    keep syslog-protocol <protocol.log
}

# What other programs wrote, as containerd and Docker pass it on: the first with lines cut into pieces.
container() {
    enter container
    go build -o container.bin .
    {
        head -4 "$fixtures/pino.txt"
        sed 's/^/!/' "$fixtures/logback.txt" | head -11
        echo 'plain text'
        head -5 "$fixtures/slog.txt" | tail -2
    } >input.txt
    rm -f cri.txt docker.txt
    ./container.bin cri cri.txt <input.txt
    ./container.bin docker docker.txt <input.txt
    keep container-cri <cri.txt
    keep container-docker <docker.txt
}

for name in "${@:-${all[@]}}"; do
    "$name"
done
