#!/bin/sh
# Runs all tests, three at a time, for half of their time they wait: first the rooms, then cables and whole hubs.
# At most three that fail have one second try, with the machine to themselves; what passed only then is named at the end.
set -u
cd "$(dirname "$0")/.."
PYTEST=${PYTEST:-.venv/bin/pytest}
AT_ONCE=3
MOST=3 # failures that may be accidents
later=""
unset PYTHONDONTWRITEBYTECODE # hundreds of programs are started: each would compile all of Zhian anew

say() { printf '\033[1mmake test:\033[0m %s\n' "$*"; }

stage() { # pytest's arguments
    cache=build/tests
    rm -rf "$cache"
    $PYTEST -o cache_dir="$cache" --numprocesses "$AT_ONCE" --dist loadfile "$@" && return 0
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
stage --ignore tests/e2e --ignore tests/links || worst=$?
stage tests/e2e tests/links || worst=$?
[ -z "$later" ] || say "passed only at the second try:" $later
exit "$worst"
