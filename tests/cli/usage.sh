#!/bin/sh
# What every verb shares: help, version, and a clear no.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

run version
ok "version succeeds" exits 0
ok "version names the program and a number" out_has '^tandem [0-9]+\.[0-9]+\.[0-9]+'
ok "version writes nothing to standard error" err_empty
cp "$out" version
run --version
ok "--version is the verb" cmp -s "$out" version

run version --json
ok "version --json succeeds" exits 0
is_json "version --json is JSON"

run --help
ok "--help succeeds" exits 0
ok "--help goes to standard output" out_has '^usage: tandem '
ok "--help writes nothing to standard error" err_empty
ok "--help is plain text" plain
cp "$out" help
for spelling in help -h; do
  run $spelling
  ok "$spelling is --help" cmp -s "$out" help
done

run
ok "no verb is a usage error" exits 2
ok "no verb prints nothing on standard output" out_empty
ok "no verb explains itself" err_has 'usage: tandem '

run versoin
ok "an unknown verb is a usage error" exits 2
ok "an unknown verb is named and a near one offered" err_has "'versoin'.*did you mean.*version"
ok "an unknown verb prints nothing on standard output" out_empty
run help versoin
ok "help of an unknown verb is a usage error" exits 2

verbs=$(sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p' help)
for verb in $verbs; do
  run "$verb" --help
  ok "$verb --help succeeds" exits 0
  ok "$verb --help shows its usage" out_has "^usage: tandem $verb( |\$)"
  ok "$verb --help lists its exit codes" out_has '^exit codes:'
  ok "$verb --help writes nothing to standard error" err_empty
  ok "$verb --help is plain text" plain
  cp "$out" verb-help
  run help "$verb"
  ok "help $verb is $verb --help" cmp -s "$out" verb-help
  run "$verb" --no-such-option
  ok "$verb refuses an unknown option" exits 2
  ok "$verb names the unknown option" err_has 'no-such-option'
  ok "$verb prints nothing on standard output then" out_empty
  run "$verb" --hepl
  ok "$verb offers the near option" err_has 'did you mean.*help'
done

# The verbs that the project promises.
for verb in demo run status table paper show pretrain forward flow check doctor sql version; do
  ok "the verb $verb is there" grep -qE "^  $verb  " help
done

sh "$SOURCE/tests/cli/_page.sh" "$BIN" >page
sed -n '/^## Verbs/,$p' "$SOURCE/docs/cli.md" >documented
ok "docs/cli.md is what tests/cli/_page.sh prints" cmp page documented

# A full disk must not look like success.
if [ -w /dev/full ]; then
  code=0
  "$BIN" version >/dev/full 2>"$err" || code=$?
  ran="version >/dev/full"
  : >"$out"
  ok "a full disk fails" exits 1
  ok "a full disk is named" err_has 'No space left'
else
  skip "a full disk fails" "no /dev/full here"
fi

finish
