#!/bin/sh
# Not part of ./dev test (about four minutes): 200 random kill -9, of the run or of one of its workers, over small studies.
# Each store is then run to its end and must hold what an uninterrupted run holds: cells, objects, measures.
#   TANDEM_SOURCE=$PWD TANDEM_BINARY=$PWD/build/tandem sh tests/cli/_kill200.sh
set -u
BIN=${TANDEM_BINARY:?}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

facts() {
  sqlite3 -batch -noheader "$1/store.db" "SELECT key, state FROM cell ORDER BY key;
    SELECT a.key, aa.role, aa.sha256 FROM cell c JOIN attempt a ON a.attempt_id = c.done_attempt_id
      JOIN attempt_artifact aa USING(attempt_id) ORDER BY 1, 2;
    SELECT a.key, metric, version, value, value_kind FROM cell c JOIN attempt a ON a.attempt_id = c.done_attempt_id
      JOIN measure m USING(attempt_id) ORDER BY 1, 2"
}

# One run, and one kill a moment later; counts the kill.
killed_run() {
  setsid "$BIN" run smoke --results "$1" --jobs 2 --set train.checkpoint_every=1 -q >/dev/null 2>&1 &
  pid=$!
  sleep "0.$(shuf -i 10-70 -n 1)"
  victim=$pid
  if [ "$(shuf -i 0-1 -n 1)" = 1 ]; then victim=$(pgrep -P $pid | shuf -n 1); fi
  if kill -9 "${victim:-$pid}" 2>/dev/null; then kills=$((kills + 1)); fi
  if [ "${victim:-$pid}" != $pid ]; then sleep 0.2 && kill -9 $pid 2>/dev/null; fi
  wait $pid 2>/dev/null
}

"$BIN" run smoke --results whole -q 2>/dev/null
facts whole >whole.facts
[ -s whole.facts ] || exit 1
kills=0 stores=0 bad=0
while [ $kills -lt 200 ]; do
  stores=$((stores + 1)) n=0
  while [ $n -lt 8 ] && [ $kills -lt 200 ]; do killed_run store; n=$((n + 1)); done
  "$BIN" run smoke --results store --retry -q >/dev/null 2>&1 || bad=$((bad + 1))
  facts store >store.facts
  cmp -s whole.facts store.facts || bad=$((bad + 1))
  rm -rf store
done
echo "$kills kills over $stores stores, $bad of them other than an uninterrupted run"
[ $bad -eq 0 ]
