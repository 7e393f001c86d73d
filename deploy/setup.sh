#!/bin/sh
# Sets up what is missing on Debian 12, one part at a time, and says what it does. Run by the Makefile.
set -eu
cd "$(dirname "$0")/.."
VENV=.venv
FONT=/usr/share/fonts/truetype/wqy/wqy-microhei.ttc:fonts-wqy-microhei  # Chinese in PDF reports

say() { printf '\033[1mzhian:\033[0m %s\n' "$*"; }

# Debian packages that provide the given programs or files; asks for root only when something is missing.
need() {
    missing=""
    for pair in "$@"; do
        program=${pair%%:*}
        [ -e "$program" ] && continue
        PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
    done
    [ -z "$missing" ] && return 0
    as_root=""
    [ "$(id -u)" = 0 ] || as_root="sudo"
    say "installing from Debian:$missing"
    $as_root apt-get update -qq || say "the package lists could not be renewed; trying with the old ones"
    # Debian would start a mosquitto of its own on port 1883; zhian runs its own, with its own passwords.
    [ -e /etc/mosquitto ] || keep_off="$missing"
    # Of Prometheus the tests only want its rule checker, promtool.
    [ -e /etc/prometheus ] || keep_off="${keep_off:-} $missing"
    # The tests start history servers of their own, on free ports.
    [ -e /lib/systemd/system/victoria-metrics.service ] || keep_off="${keep_off:-} $missing"
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
    case "${keep_off:-}" in *prometheus*) $as_root systemctl disable --now prometheus >/dev/null 2>&1 || true ;; esac
    case "${keep_off:-}" in *victoria*) $as_root systemctl disable --now victoria-metrics >/dev/null 2>&1 || true ;; esac
    case "${keep_off:-}" in *mosquitto*) $as_root systemctl disable --now mosquitto >/dev/null 2>&1 || true ;; esac
}

pip_install() { "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation "$@"; }

# The packages of a lock and no others, each by its SHA-256.
python_packages() { # what, lock
    "$VENV/bin/python" deploy/lock.py wanted
    say "installing Python packages into $VENV ($1)"
    pip_install --require-hashes --requirement "$2"
}

case "${1:-}" in
runtime)
    python3 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { say "Python 3.11 is needed"; exit 2; }
    if [ ! -x "$VENV/bin/pip" ]; then
        python3 -c 'import venv, ensurepip' 2>/dev/null || need "no-such-program:python3-venv"
        say "making $VENV"
        python3 -m venv "$VENV"
    fi
    python_packages "what the hub needs" deploy/runtime.lock
    pip_install --quiet --editable . # twice quiet: setuptools warns of what an editable installation is
    touch "$VENV/.runtime"
    say "ready: $VENV/bin/zhian"
    ;;
development)
    python_packages "tests and checks" deploy/development.lock
    touch "$VENV/.development"
    ;;
demo-programs)
    need mosquitto:mosquitto "$FONT"
    ;;
test-programs)
    need mosquitto:mosquitto chromium:chromium influxd:influxdb victoria-metrics:victoria-metrics \
        promtool:prometheus pdftotext:poppler-utils "$FONT"
    ;;
*)
    echo "usage: $0 runtime|development|demo-programs|test-programs" >&2
    exit 2
    ;;
esac
