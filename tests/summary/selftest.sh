#!/bin/sh
# The counting itself, on a made-up CTest run, and the comparison of bits on made-up programs: each kind of outcome must
# come out as what it is.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
status=0

same() { # LABEL: file wanted against file got
  LC_ALL=C sort got >got.sorted
  LC_ALL=C sort wanted >wanted.sorted
  cmp -s got.sorted wanted.sorted && return 0
  echo "$1: < wanted, > got"
  diff wanted.sorted got.sorted
  status=1
}

cat >run.xml <<'END'
<testcase name="mixed" classname="mixed" time="0" status="fail">
<failure message=""/>
<system-out>[==========] Running 3 test(s).
[       OK ] a
[  FAILED  ] b
[  SKIPPED ] c
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] b
</system-out>
<testcase name="torn" classname="torn" time="0" status="run">
<system-out>[==========] tests: Running 2 test(s).
[       Osome noise
K ] a
[       OK ] b
</system-out>
<testcase name="crash" classname="crash" time="0" status="fail">
<failure message=""/>
<system-out>[==========] Running 2 test(s).
[       OK ] a
[ RUN      ] b
</system-out>
<testcase name="absent" classname="absent" time="0" status="notrun">
<skipped message="SKIP_RETURN_CODE=77"/>
<testcase name="lost" classname="lost" time="0" status="notrun">
<skipped message="Unable to find executable"/>
<testcase name="tap" classname="tap" time="0" status="fail">
<failure message=""/>
<system-out>ok 1 - x
ok 2 - y # SKIP why
not ok 3 - z
</system-out>
<testcase name="silent" classname="silent" time="0" status="run">
END
awk -v suite=s -f "$here/junit.awk" run.xml | cut -f 1,3 | tr '\t' ' ' >got
cat >wanted <<'END'
pass mixed: a
fail mixed: b
skip mixed: c
pass torn: b
pass torn: test 2
pass crash: a
fail crash
skip absent
fail lost
pass tap: x
skip tap: y
fail tap: z
pass silent
END
same "junit.awk"

printf 'pass\ts\ta\t\nskip\ts\tb\twhy\n' >one
awk -f "$here/total.awk" one | tail -n 1 >got && echo '1 passed, 0 failed, 1 skipped' >wanted
same "total.awk"
printf 'pass\ts\ta\t\nfail\ts\tb\t\n' >one
awk -f "$here/total.awk" one >got && echo "total.awk: a failure must not exit 0" && status=1
printf 'skip\ts\ta\t\n' >one
awk -f "$here/total.awk" one >got && echo "total.awk: a run in which nothing passed must not exit 0" && status=1

program() { # NAME BODY
  printf '#!/bin/sh\n%s\n' "$2" >"$1"
  chmod +x "$1"
}
program good 'echo a 1; echo b 2'
# shellcheck disable=SC2016  # the program's own arguments
program bad 'echo a 1; [ "$1$2" = v33 ] && echo b 3 || echo b 2'
program broken 'exit 1'
program lacking 'exit 77'
verdicts() { sh "$here/../bits/compare.sh" "./$1" "./$2" 2>/dev/null | cut -f 1 | sort | uniq -c | tr -s ' \n' ' '; }
case $(uname -m) in
x86_64 | amd64)
  [ "$(verdicts good good)" = " 16 pass " ] || { echo "compare.sh: equal programs: $(verdicts good good)" && status=1; }
  [ "$(verdicts good bad)" = " 1 fail 15 pass " ] || { echo "compare.sh: one difference: $(verdicts good bad)" && status=1; }
  [ "$(verdicts good broken)" = " 9 fail 7 pass " ] || { echo "compare.sh: a broken program: $(verdicts good broken)" && status=1; }
  [ "$(verdicts lacking lacking)" = " 18 skip " ] || { echo "compare.sh: no level: $(verdicts lacking lacking)" && status=1; }
  ;;
esac
exit $status
