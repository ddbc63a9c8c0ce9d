#!/bin/sh
# The lints can go red: each must name the line that breaks its rule, and only that line.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
status=0

expect() { # WANTED-REGEX (empty: silence) LABEL < output
  got=$(cat)
  if [ -z "$1" ] && [ -z "$got" ]; then return 0; fi
  if [ -n "$1" ] && [ "$(printf '%s\n' "$got" | grep -cE "$1")" = 1 ] && [ "$(printf '%s\n' "$got" | wc -l)" = 1 ]; then return 0; fi
  printf '%s: wanted "%s", got "%s"\n' "$2" "$1" "$got"
  status=1
}

includes() { # PATH INCLUDE-LINE WANTED
  mkdir -p "$(dirname "$1")"
  printf '/* #include "cli/no.h" */\n%s\n' "$2" >"$1"
  awk -f "$here/code.awk" "$1" | awk -f "$here/includes.awk" | expect "$3" "includes $1 $2"
  rm "$1"
}
includes harness/engine/base/a.c '#include "ops/ops.h"' 'a.c:2: includes ops/ops.h: ops is above base'
includes harness/engine/ops/a.c '#include "base/err.h"' ''
includes harness/engine/model/a.c '#include "train.h"' 'train/sample is above model'
includes harness/engine/train.c '#include "train.h"' ''
includes harness/study/a.c '#include "store/store.h"' 'store is above study'
includes harness/run/a.c '#include <sqlite3.h>' 'SQLite belongs to store'
includes harness/store/a.c '#include <sqlite3.h>' ''
includes metrics/a.c '#include <libavcodec/avcodec.h>' 'FFmpeg belongs'
includes harness/study/a.c '#include <cjson/cJSON.h>' 'cJSON belongs'
includes harness/engine/ops/cpu/a.c '#include <cuda.h>' 'CUDA belongs'
includes variants/a.c '#include "odd/x.h"' 'names no room'
includes harness/odd/a.c '#include "base/err.h"' 'lies in no known room'

printf '#include "media/m.h"\n' >m.c
mkdir -p metrics harness/media
cp m.c metrics/a.c
printf '#include "metrics/m.h"\n' >harness/media/b.c
awk -f "$here/code.awk" metrics/a.c harness/media/b.c | awk -f "$here/includes.awk" |
  expect 'include each other' 'includes both ways'

banned() { # PATH CODE WANTED
  mkdir -p "$(dirname "$1")"
  printf '%s\n' "$2" >"$1"
  awk -f "$here/code.awk" "$1" | awk -f "$here/banned.awk" | expect "$3" "banned $1 $2"
  rm "$1"
}
banned harness/engine/a.c '  sprintf(p, "x");' 'a.c:1: sprintf\(\)'
banned harness/engine/a.c '  /* sprintf( */ f("atoi(1)", fprintf(x)); // exit(1)' ''
banned harness/engine/a.c '  x = ops->abort(c) + c.exit (1);' ''
banned harness/engine/a.c '  exit (1);' 'exit\(\)'
banned harness/main.c '  exit(1);' ''
banned harness/run/a.c '  getenv("CI");' 'getenv\(\)'

{
  echo 'static int long_one(int a,'
  echo '                    int b) {'
  i=0
  while [ $i -lt 58 ]; do echo '  a++;' && i=$((i + 1)); done
  echo '}'
  echo 'static int short_one(void) {'
  echo '  return 0;'
  echo '}'
} >l.c
awk -f "$here/length.awk" l.c | expect 'l.c:1: long_one has 61 lines' length
sed '3d' l.c >l2.c
awk -f "$here/length.awk" l2.c | expect '' 'length of 60'
exit $status
