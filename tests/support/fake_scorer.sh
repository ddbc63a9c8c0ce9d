#!/bin/sh
# fake_scorer.sh MODE [version=N] [bad=N] [id=NAME]: a scorer that breaks the protocol in the way MODE names on clips of
# sample seed 0, or on request N, and answers the others: ink 0.25, edge 3 of 7. The modes start-* misbehave before they read anything, describe-* when
# asked to describe themselves. TRACE, when MODE is leave, gets the numbers of the processes.
mode=$1
version=1
trace=/dev/null
bad=none
name=fake
for arg; do
  case $arg in
  version=*) version=${arg#*=} ;;
  trace=*) trace=${arg#*=} ;;
  bad=*) bad=${arg#*=} ;;
  id=*) name=${arg#*=} ;;
  esac
  last=$arg
done

describe() {
  case $mode in
  describe-die) echo "no such model" >&2 && exit 3 ;;
  describe-hang) sleep 60 ;;
  describe-flood) head -c 3000000 /dev/zero | tr '\0' x ;;
  describe-garbage) echo "hello" ;;
  describe-nothing) exit 0 ;;
  describe-twice) set -- ', {"id": "ink", "direction": "up", "plane": "rgb"}' ;;
  describe-word) set -- ', {"id": "b", "direction": "upward", "plane": "rgb"}' ;;
  describe-range) set -- ', {"id": "b", "direction": "up", "plane": "rgb", "range": [2, 1]}' ;;
  describe-leave) sleep 60 & ;;
  *) set -- "" ;;
  esac
  printf '{"protocol": 1, "id": "%s", "version": %s, "wants": ["rgba8"%s], "measures": [\n' "$name" "$version" \
    "$([ "$mode" = base ] && printf ', "base"')"
  printf '{"id": "ink", "direction": "up", "unit": "share", "range": [0, 1], "plane": "rgb", "help": "of \\"ink\\""},\n'
  printf '{"id": "edge", "version": 7, "direction": "down", "range": [null, 5], "plane": "alpha"}%s]}\n' "${1:-}"
}
if [ "$last" = --describe ]; then
  describe
  exit 0
fi

measure() { printf '{"id": %s, "metric": "%s", "value": %s%s}\n' "$id" "$1" "$2" "${3:-}"; }
ink() { measure ink "${1:-0.25}"; }
edge() { measure edge "${1:-3}" ', "reason": null, "n": 7'; }
finish() { printf '{"id": %s, "done": true}\n' "$id"; }
good() { ink && edge && finish; }

bad() {
  case $mode in
  hang) sleep 60 ;;
  late) sleep 2 && good ;;
  stubborn) trap '' TERM && while :; do sleep 1; done ;;
  die) exit 7 ;;
  die-middle) ink && exit 0 ;;
  kill) kill -9 $$ ;;
  die-torn) printf '{"id": %s, "metr' "$id" && exit 0 ;;
  garbage) echo "Loading weights: 100%" && good ;;
  array) echo '[1, 2]' && good ;;
  zero) printf 'a\0b\n' && good ;;
  utf8) printf '{"id": %s, "metric": "\377"}\n' "$id" && good ;;
  deep) head -c 3000 /dev/zero | tr '\0' '[' && echo && good ;;
  unknown) measure colour 1 && good ;;
  wrong-id) id=$((id + 1)) && good ;;
  no-id) echo '{"metric": "ink", "value": 0.5}' && good ;;
  word) measure ink '"high"' && finish ;;
  bare-null) measure ink null && finish ;;
  both) measure ink 0.5 ', "reason": "dark"' && finish ;;
  stolen-reason) measure ink null ', "reason": "scorer_died"' && finish ;;
  nan) measure ink NaN && edge -Infinity && finish ;;
  overflow) measure ink 1e999 && edge nan && finish ;;
  range) ink 1.5 && edge 5 && finish ;;
  twice) ink && ink && edge && finish ;;
  answer-twice) good && good ;;
  missing) edge && finish ;;
  empty) finish ;;
  reason) measure ink null ', "reason": "too_dark", "n": 12' && edge && finish ;;
  extra) printf '\n{"id": %s, "metric": "ink", "value": 25e-2, "note": "a \\"NaN\\" \\\\"}\r\n' "$id" && edge && finish ;;
  flood) while :; do printf '{"id": %s, "metric": "ink", "value": 0.5}\n' "$id"; done ;;
  flood-line) head -c 3000000 /dev/zero | tr '\0' x && good ;;
  flood-blank) yes '' ;;
  deaf) exec <&- && sleep 60 ;;
  mute) exec >&- && sleep 60 ;;
  noisy) { head -c 1000000 /dev/zero | tr '\0' e; } >&2 && good ;;
  leave) sleep 60 & echo "$$ $!" >"$trace" && exit 0 ;;
  keep) sleep 60 & echo "$$ $!" >"$trace" && good ;;
  once) good && exit 0 ;;
  torn) good && printf 'tail without an end' ;;
  raw) ink "$(tr -d ' ' <<END
$(wc -c <"$raw")e-9
END
)" && edge && finish ;;
  *) good ;;
  esac
}

case $mode in
start-die) exit 9 ;;
start-hang) sleep 60 ;;
start-talk) echo "ready" ;;
esac
while IFS= read -r line; do
  head=$(printf %.2000s "$line") # a long prompt comes after what is looked for
  id=${head#*'"id": '}
  id=${id%%,*}
  raw=${head#*'"rgba8": "'}
  raw=${raw%%'"'*}
  case $line in
  *'"sample_seed": 0,'* | *'"id": '"$bad,"*) bad ;;
  *) good ;;
  esac
done
