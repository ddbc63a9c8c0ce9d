# shellcheck shell=sh
# Sourced by the command-line tests, which run under CTest and print TAP. Each test file works in an empty folder of its
# own and with a bare environment, so nothing on the machine changes what the program prints.
#
#   run ARGS...        runs the program; $out and $err name files, $code is the exit status
#   ok NAME COMMAND    a test point: passes when the command succeeds
#   skip NAME WHY      a test point that cannot run here; counted as skipped
#   finish             the plan; exit 1 when a point failed
# Helpers for ok: exits N, out_has REGEX, err_has REGEX, out_empty, err_empty, out_is_json, json_is FILTER WANTED

set -u
BIN=${TANDEM_BINARY:?TANDEM_BINARY names the program}
SOURCE=${TANDEM_SOURCE:?TANDEM_SOURCE names the repository}
export SOURCE
work=$(mktemp -d "${TMPDIR:-/tmp}/tandem-cli.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 1
out=$work/out
err=$work/err
code=0
points=0
failures=0

run() {
  code=0
  env -i PATH="$PATH" HOME="$work" LC_ALL=C CI=true TANDEM_SOURCE="$SOURCE" OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}" \
    LSAN_OPTIONS="${LSAN_OPTIONS:-}" "$BIN" "$@" >"$out" 2>"$err" </dev/null || code=$?
  ran=$*
}

ok() {
  label=$1
  shift
  points=$((points + 1))
  if "$@"; then
    echo "ok $points - $label"
    return 0
  fi
  failures=$((failures + 1))
  echo "not ok $points - $label"
  echo "# $* was false after: tandem $ran (exit $code)"
  sed 's/^/# out: /' "$out" | head -n 20
  sed 's/^/# err: /' "$err" | head -n 20
}

skip() {
  points=$((points + 1))
  echo "ok $points - $1 # SKIP $2"
}

finish() {
  echo "1..$points"
  [ "$failures" = 0 ]
  exit
}

exits() { [ "$code" = "$1" ]; }
out_has() { grep -qE -- "$1" "$out"; }
err_has() { grep -qE -- "$1" "$err"; }
err_lacks() { ! grep -qE -- "$1" "$err"; }
out_lacks() { ! grep -qE -- "$1" "$out"; }
out_empty() { [ ! -s "$out" ]; }
err_empty() { [ ! -s "$err" ]; }
# No colour, no cursor movement: the output is not a terminal.
plain() { ! LC_ALL=C grep -q "$(printf '[\033\r]')" "$out" "$err"; }

have() { command -v "$1" >/dev/null 2>&1; }
if have jq; then
  out_is_json() { jq -e . "$out" >/dev/null 2>&1; }
  json_is() { [ "$(jq -rc "$1" "$out" 2>/dev/null)" = "$2" ]; }
  json=jq
elif have python3; then
  out_is_json() { python3 -c 'import json,sys; json.load(sys.stdin)' <"$out" 2>/dev/null; }
  json=python3
else
  json=
fi
# is_json NAME: what the last run printed on standard output is one JSON value.
is_json() {
  if [ -n "$json" ]; then ok "$1" out_is_json; else skip "$1" "neither jq nor python3 is installed"; fi
}
