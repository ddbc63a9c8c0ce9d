#!/bin/sh
# compare.sh GCC-PROGRAM CLANG-PROGRAM: the determinism contract over compilers, instruction-set levels and threads.
# Prints one result line a comparison, and on standard error what differs. v2 has no fused multiply-add and is a class
# of its own: it is compared between compilers and threads only.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

result() { printf '%s\tbits\t%s\t%s\n' "$1" "$2" "${3:-}"; }

compare() { # PROGRAM COMPILER LEVEL THREADS REFERENCE
  name="$2 $3 $4 threads against $5"
  "$1" "$3" "$4" >"$work/now" 2>"$work/err"
  case $? in
  0) ;;
  77) result skip "$name" "this processor lacks $3" && return 0 ;;
  *) sed "s/^/bits $name: /" "$work/err" >&2 && result fail "$name" "the program failed" && return 0 ;;
  esac
  if [ ! -e "$work/$5" ]; then
    cp "$work/now" "$work/$5"
    echo "bits: $(wc -l <"$work/now" | tr -d ' ') hashes at $5" >&2
    return 0
  fi
  if cmp -s "$work/now" "$work/$5"; then
    result pass "$name"
  else
    diff "$work/$5" "$work/now" | sed -n "s/^> \([^ ]*\) .*/bits $name: \1 differs/p" >&2
    result fail "$name" "$(diff "$work/$5" "$work/now" | grep -c '^>') results differ"
  fi
}

case $(uname -m) in
x86_64 | amd64) levels="v2 v3 v4" ;;
*) levels=generic ;;
esac
for level in $levels; do
  [ "$level" = v2 ] && reference=v2 || reference=fma
  for threads in 1 2 3; do
    compare "$1" gcc "$level" $threads "$reference"
    compare "$2" clang "$level" $threads "$reference"
  done
done
