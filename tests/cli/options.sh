#!/bin/sh
# How options are read, and when there is colour.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

run version --json
cp "$out" document
for spelling in "--json -q" "-qv --json" "--color never --json" "--color=never --json"; do
  # shellcheck disable=SC2086  # a list of words
  run version $spelling
  ok "version $spelling" cmp -s "$out" document
done
run version --json=1
ok "a flag takes no value" exits 2
ok "and says so" err_has '--json takes no value'
run version extra
ok "an argument too many is named" err_has "unexpected argument 'extra'"
run version -- --json
ok "after -- everything is an argument" err_has "unexpected argument '--json'"
run version --color sometimes
ok "a choice is one of its words" err_has '--color wants one of auto, always, never'
run version -x
ok "an unknown letter is named" err_has 'unknown option -x'

run status --results
ok "a value that is missing is asked for" err_has '--results wants a value \(DIR\)'
run status --results nowhere-1 --results=nowhere-2
ok "the last of two values counts" err_has 'nowhere-2'
run status -o
ok "the same for a letter" err_has '-o wants a value'
for threads in -1 4097 1.5 2x "" 99999999999999999999; do
  run doctor --threads "$threads"
  ok "--threads '$threads' is refused" exits 2
  ok "--threads '$threads' says the range" err_has 'whole number from 0 to 4096'
done
run forward --weights w --config c --in i --out o --gamma nan
ok "a number is finite" err_has '--gamma wants a number'
run forward --weights w --config c --in i
ok "an option that is needed is named" err_has '--out FILE is needed'
run check smoke --set
ok "the usage comes with the error" err_has '^usage: tandem check STUDY'

coloured() { env -i PATH="$PATH" "$@" >"$out" 2>"$err" </dev/null && grep -q "$(printf '\033')" "$out"; }
mono() { env -i PATH="$PATH" "$@" >"$out" 2>"$err" </dev/null && ! grep -q "$(printf '\033')" "$out"; }
ran="doctor, with other environments"
ok "no colour into a file" mono TERM=xterm "$BIN" doctor
ok "CLICOLOR_FORCE asks for it" coloured TERM=xterm CLICOLOR_FORCE=1 "$BIN" doctor
ok "NO_COLOR wins over it" mono TERM=xterm CLICOLOR_FORCE=1 NO_COLOR=1 "$BIN" doctor
ok "an empty NO_COLOR says nothing" coloured TERM=xterm CLICOLOR_FORCE=1 NO_COLOR= "$BIN" doctor
ok "a dumb terminal has none" mono TERM=dumb CLICOLOR_FORCE=1 "$BIN" doctor
ok "--color always wins over all" coloured TERM=dumb NO_COLOR=1 "$BIN" doctor --color always
ok "--color never as well" mono TERM=xterm CLICOLOR_FORCE=1 "$BIN" doctor --color never

# From another folder, the configs of the source are found; a copy elsewhere can be named.
mkdir demo
run check demo
ok "a study by name from any folder, whatever lies there" exits 0
mkdir -p mine/studies && printf '{"schema": 1, "study": "mine"}' >mine/studies/mine.json
run check mine --configs mine
ok "--configs names another folder" err_has '^mine/studies/mine.json:'
run check mine
ok "which is not looked into otherwise" err_has "no study file 'mine'"

finish
