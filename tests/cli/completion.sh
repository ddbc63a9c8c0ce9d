#!/bin/sh
# tandem completion and tandem man: every verb and option is there, and shells take them.
# shellcheck source=tests/cli/_lib.sh
# shellcheck disable=SC2317  # helpers are called through ok
. "$(dirname "$0")/_lib.sh"

run help
verbs=$(sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p' "$out")
ok "there are verbs" test "$(echo "$verbs" | wc -l)" -gt 20

none() { ! grep -qE "$1" "$2"; }
foreign() { ! grep -vE '^\.(TH|SH|SS|PP|TP|nf|fi|B|I|RI)' tandem.1 | grep -qE "^[.']"; }
quiet_groff() { groff -man -Tascii -ww tandem.1 >page 2>complaints && [ ! -s complaints ] && grep -q completion page; }

# all PATTERN: a line of the output fits it for every verb; %s is the verb
all() {
  for v in $verbs; do
    grep -qE -- "$(printf '%s' "$1" | sed "s/%s/$v/")" "$out" || {
      echo "# $v is not there"
      return 1
    }
  done
}

run completion bash
ok "bash: a script" exits 0
ok "bash: every verb" all '^    %s\)$'
cp "$out" tandem.bash
if command -v bash >/dev/null 2>&1; then
  # offered WORD...: what bash offers for the last word
  # shellcheck disable=SC2016  # bash expands it
  complete='. ./tandem.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tandem; printf "%s " "${COMPREPLY[@]}"'
  offered() { bash -c "$complete" - "$@"; }
  ok "bash: a verb" test "$(offered tandem met)" = "metrics "
  ok "bash: options of a verb" test "$(offered tandem sheet --pl)" = "--planes "
  ok "bash: shared options" test "$(offered tandem sheet --res)" = "--results "
  ok "bash: not another verb's" test -z "$(offered tandem sheet --kin | tr -d ' ')"
  ok "bash: choices" test "$(offered tandem figure --kind pa)" = "paired "
  ok "bash: files are left to the shell" test -z "$(offered tandem sheet stu | tr -d ' ')"
else
  skip "bash takes it" "needs bash"
fi
run completion fish
ok "fish: every verb" all 'subcommand -a %s -d'
ok "fish: every line is an instruction" none '^([^c]|c[^o])' "$out"
run completion zsh
ok "zsh: the head it wants" test "$(head -n 1 "$out")" = "#compdef tandem"
run completion tcsh
ok "another shell is a usage error" exits 2
ok "that names those there are" err_has 'bash, zsh, fish'

run man
ok "a manual page" exits 0
ok "it has every verb" all '^\.SS %s$'
cp "$out" tandem.1
ok "and no line that roff would take for its own" foreign
if command -v groff >/dev/null 2>&1; then
  ok "groff has nothing to say" quiet_groff
else
  skip "groff has nothing to say" "needs groff"
fi
finish
