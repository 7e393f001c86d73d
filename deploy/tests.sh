#!/bin/sh
# Runs all tests: first what computes, one a core; then cables and whole hubs, which mostly wait, three at a time.
# At most three that fail have one second try, with the machine to themselves; what passed only then is named at the end.
set -u
cd "$(dirname "$0")/.."
PYTEST=${PYTEST:-.venv/bin/pytest}
MOST=3
later=""

say() { printf '\033[1mmake test:\033[0m %s\n' "$*"; }

stage() { # how many at a time, then pytest's arguments
    workers=$1 cache=build/tests
    shift
    rm -rf "$cache"
    $PYTEST -o cache_dir="$cache" --numprocesses "$workers" --dist loadfile "$@" && return 0
    code=$?
    failed=$(sed -n 's/^ *"\(.*\)": true,*$/\1/p' "$cache/v/cache/lastfailed" 2>/dev/null)
    count=$(printf '%s' "$failed" | grep -c .)
    [ "$code" = 1 ] && [ "$count" -gt 0 ] && [ "$count" -le "$MOST" ] || return "$code"
    say "the $count that failed above are tried once more, alone"
    $PYTEST -o cache_dir="$cache" --last-failed --last-failed-no-failures none "$@" || return 1
    later="$later$failed
"
}

worst=0
stage 2 --ignore tests/e2e --ignore tests/links || worst=$?
stage 3 tests/e2e tests/links || worst=$?
[ -z "$later" ] || say "passed only at the second try:" $later
exit "$worst"
