#!/bin/sh
# run.sh [NAME...]: checks that need no build. Prints one result line a check ("verdict<TAB>lint<TAB>name<TAB>note") on
# standard output and what is wrong on standard error. With names, only those checks.
set -u
cd "$(dirname "$0")/../.." || exit 1
L=tests/lint
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
trap 'exit 130' INT TERM

# Product code, and everything that people edit.
find harness variants metrics -type f \( -name '*.c' -o -name '*.h' -o -name '*.inc' -o -name '*.def' \) 2>/dev/null |
  LC_ALL=C sort >"$T/product"
find tests -type f \( -name '*.c' -o -name '*.h' \) | LC_ALL=C sort >"$T/tests"
cat "$T/product" "$T/tests" >"$T/sources"
find dev .ci tests -type f \( -name dev -o -name run -o -name '*.sh' \) >"$T/scripts"
find . -type f \( -name '*.md' -o -name '*.awk' -o -name '*.cmake' -o -name CMakeLists.txt -o -name '.clang-format' \
  -o -name '.editorconfig' -o -name '.gitignore' \) -not -path './build*' -not -path './.git/*' >"$T/other"
xargs awk -f $L/code.awk <"$T/product" >"$T/code"

check() { # NAME COMMAND...: the command's output is the list of problems
  name=$1
  shift
  case " $wanted " in *" $name "* | "  ") ;; *) return 0 ;; esac
  if "$@" >"$T/out" 2>&1; then
    printf 'pass\tlint\t%s\t\n' "$name"
  elif [ $? = 77 ]; then
    printf 'skip\tlint\t%s\t%s\n' "$name" "$(head -n 1 "$T/out")"
  else
    sed "s/^/lint $name: /" "$T/out" >&2
    printf 'fail\tlint\t%s\t%s problems\n' "$name" "$(wc -l <"$T/out" | tr -d ' ')"
  fi
}

includes() { awk -f $L/includes.awk "$T/code"; }
banned() { awk -f $L/banned.awk "$T/code"; }
length() { grep -v '\.def$' "$T/product" | xargs awk -f $L/length.awk; }

# Tabs, blanks at line ends, carriage returns, a missing last newline; unfinished business.
blanks() {
  cat "$T/sources" "$T/scripts" "$T/other" >"$T/text"
  tab=$(printf '\t')
  cr=$(printf '\r')
  xargs grep -nE "$tab|$cr| +\$" <"$T/text" && return 1
  while read -r f; do
    [ ! -s "$f" ] || [ -z "$(tail -c 1 "$f")" ] || { echo "$f: no newline at the end" && return 1; }
  done <"$T/text"
}
unfinished() {
  xargs grep -nwE 'TODO|FIXME|XXX|HACK' <"$T/sources" && return 1
  return 0
}

# Each header compiles alone: it includes what it uses.
headers() {
  grep '\.h$' "$T/sources" >"$T/headers"
  status=0
  while read -r h; do
    case $h in
    */ops/cpu/kernels/*) continue ;; # parts of a kernel file, compiled once a level
    */ops/cuda/*) continue ;;
    esac
    printf '#include "%s"\nextern int lint_unused;\n' "$h" >"$T/alone.c"
    case $h in tests/*) # written for a test program, which has cmocka and its companions already
      printf '#include <stdio.h>\n#include <setjmp.h>\n#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <cmocka.h>\n' |
        cat - "$T/alone.c" >"$T/whole.c" && mv "$T/whole.c" "$T/alone.c" ;;
    esac
    gcc -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -Wall -Wextra -Wpedantic -Werror -Wno-unused-function \
      -fsyntax-only -I. -Iharness/engine -Iharness -Itests/support "$T/alone.c" || status=1
  done <"$T/headers"
  return $status
}

format() {
  for tool in clang-format-14 clang-format; do
    "$tool" --version 2>/dev/null | grep -q 'version 14\.' || continue
    grep -E '\.(c|h|inc)$' "$T/sources" | while read -r f; do
      "$tool" "$f" | cmp -s - "$f" || echo "$f: layout; run $tool -i $f"
    done >"$T/layout"
    cat "$T/layout"
    [ ! -s "$T/layout" ]
    return
  done
  echo "no clang-format 14 here, and versions differ in layout"
  return 77
}

shell() {
  xargs -n 1 sh -n <"$T/scripts" || return 1
  command -v shellcheck >/dev/null || { echo "shellcheck is not installed" && return 77; }
  xargs shellcheck -x -e SC2317 <"$T/scripts" # SC2317: functions that are called through ok
}

# Links between the pages lead somewhere.
links() {
  status=0
  find . -name '*.md' -not -path './build*' -not -path './.git/*' | while read -r page; do
    grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | while read -r link; do
      case $link in http*:* | mailto:*) continue ;; esac
      [ -e "$(dirname "$page")/$link" ] || echo "$page: $link does not exist"
    done
  done >"$T/links"
  cat "$T/links"
  [ ! -s "$T/links" ] || status=1
  return $status
}

# Flags that would break the determinism contract.
selftest() { sh $L/selftest.sh && sh tests/summary/selftest.sh; }

flags() {
  grep -nE -- '-(ffast-math|Ofast|funsafe-math-optimizations|fassociative-math|march=native)' CMakeLists.txt tests/CMakeLists.txt \
    CMakePresets.json && return 1
  return 0
}

wanted=$*
for name in selftest includes banned length blanks unfinished headers format shell links flags; do check $name $name; done
